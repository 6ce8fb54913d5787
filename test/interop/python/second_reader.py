"""A second reader of the protocol, written from spec/ alone: checks the vectors with nothing but Python's own library."""
import hashlib, json, pathlib, re, sys
SPEC = pathlib.Path(sys.argv[1])

class Refused(Exception):
    pass

def must(ok, why='refused'):
    if not ok:
        raise Refused(why)

def vectors(name):
    return json.loads((SPEC / 'vectors' / f'{name}.json').read_text())
H = lambda *parts: hashlib.sha256(b''.join(parts)).digest()
hx = bytes.fromhex

# ENC-1 to ENC-9

def decode(data):
    value, at = item(data, 0, 0)
    must(at == len(data), 'bytes after the end')
    return value

def head(data, at):
    must(at < len(data))
    first = data[at]
    major, info = (first >> 5, first & 31)
    if info < 24:
        return (major, info, at + 1)
    must(info in (24, 25, 26, 27))
    size = 1 << info - 24
    must(at + 1 + size <= len(data))
    value = int.from_bytes(data[at + 1:at + 1 + size], 'big')
    must(value >= (24 if size == 1 else 1 << 4 * size))
    return (major, value, at + 1 + size)

def item(data, at, depth):
    if at < len(data) and data[at] in (244, 245, 246):
        return ({244: False, 245: True, 246: None}[data[at]], at + 1)
    major, n, at = head(data, at)
    if major == 0:
        return (n, at)
    if major == 1:
        return (-1 - n, at)
    if major in (2, 3):
        must(at + n <= len(data))
        raw = data[at:at + n]
        if major == 2:
            return (bytes(raw), at + n)
        try:
            return (raw.decode('utf-8'), at + n)
        except UnicodeDecodeError:
            raise Refused('utf-8')
    must(major in (4, 5))
    must(depth < 16)
    must(n <= len(data) - at)
    if major == 4:
        out = []
        for _ in range(n):
            value, at = item(data, at, depth + 1)
            out.append(value)
        return (out, at)
    out, previous = ({}, None)
    for _ in range(n):
        must(at < len(data))
        must(data[at] >> 5 == 3)
        key, at = item(data, at, depth + 1)
        raw = key.encode()
        must(previous is None or (len(previous), previous) < (len(raw), raw))
        previous = raw
        out[key], at = item(data, at, depth + 1)
    return (out, at)

def encode_head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for i, size in enumerate((1, 2, 4, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | 24 + i]) + n.to_bytes(size, 'big')

def encode(v):
    if v is None:
        return b'\xf6'
    if v is True:
        return b'\xf5'
    if v is False:
        return b'\xf4'
    if isinstance(v, int):
        return encode_head(0, v) if v >= 0 else encode_head(1, -1 - v)
    if isinstance(v, bytes):
        return encode_head(2, len(v)) + v
    if isinstance(v, str):
        return encode_head(3, len(v.encode())) + v.encode()
    if isinstance(v, list):
        return encode_head(4, len(v)) + b''.join(map(encode, v))
    pairs = sorted(v.items(), key=lambda p: (len(p[0].encode()), p[0].encode()))
    return encode_head(5, len(v)) + b''.join((encode(k) + encode(x) for k, x in pairs))

# ENC-10 to ENC-14, by the tables of records.md
RECORDS = {}
for section in re.split('^## ', (SPEC / 'records.md').read_text(), flags=re.M)[1:]:
    name, rows = section.split('\n', 1)
    cells = [[c.strip() for c in row.split('|')[1:4]] for row in rows.split('\n') if row.startswith('| `')]
    RECORDS[name.strip()] = ('| kind | number' in rows, [(c[0].strip('`'), c[1]) for c in cells])
RECORDS['cancel-recovery'] = (False, [])
ALIASES = {'certificate-chain': 'list(4) of signed', 'attribution': 'list(256) of asset-amount', 'first-validators': 'list(100) of first-validator'}

def typed(kind, v):
    if kind in ALIASES:
        return typed(ALIASES[kind], v)
    if kind in RECORDS:
        is_union, fields = RECORDS[kind]
        must(isinstance(v, list))
        if is_union:
            must(len(v) == 2)
            for name, about in fields:
                number, inner = about.split(' ')
                if v[0] == int(number) and v[0] is not True:
                    return {'type': name, **typed(inner, v[1])}
            raise Refused('kind')
        least = len([k for _, k in fields if not k.startswith('later ')])
        must(least <= len(v) <= len(fields))
        must(len(v) == least or v[-1] is not None)
        return {name: typed(k, x) for (name, k), x in zip(fields, v + [None] * (len(fields) - len(v)))}
    number = lambda low, high: (must(isinstance(v, int) and (not isinstance(v, bool)) and (low <= v <= high)), v)[1]
    if kind == 'uint':
        return number(0, 2 ** 53 - 1)
    if kind == 'u32':
        return number(0, 2 ** 32 - 1)
    if kind == 'grains':
        return number(0, 10 ** 18)
    if (m := re.fullmatch('int\\((-?\\d+)\\.\\.(-?\\d+)\\)', kind)):
        return number(int(m[1]), int(m[2]))
    if kind == 'bool':
        must(isinstance(v, bool))
        return v
    if (m := re.fullmatch('uint\\((\\d+)\\)', kind)):
        return number(0, int(m[1]))
    if (m := re.fullmatch('bytes\\((?:(\\d+)\\.\\.)?(\\d+)\\)', kind)):
        must(isinstance(v, bytes))
        must(int(m[1] or m[2]) <= len(v) <= int(m[2]))
        return v
    if (m := re.fullmatch('text\\((\\d+)\\)', kind)):
        must(isinstance(v, str))
        must(len(v.encode()) <= int(m[1]))
        return v
    if (m := re.fullmatch('(?:optional|later) (.*)', kind)):
        return None if v is None else typed(m[1], v)
    if (m := re.fullmatch('list\\((\\d+)\\) of (.*)', kind)):
        must(isinstance(v, list))
        must(len(v) <= int(m[1]))
        return [typed(m[2], x) for x in v]
    if (m := re.fullmatch('map\\((\\d+)\\) from text\\((\\d+)\\) to (.*)', kind)):
        must(isinstance(v, dict))
        must(len(v) <= int(m[1]))
        must(all((len(k.encode()) <= int(m[2]) for k in v)))
        return {k: typed(m[3], x) for k, x in v.items()}
    if kind.startswith('one of '):
        words = [w.split(' ', 1)[1] for w in kind[7:].split(', ')]
        must(isinstance(v, int))
        must(not isinstance(v, bool))
        must(0 <= v < len(words))
        return words[v]
    raise AssertionError(f'unknown kind {kind}')

def record(name, data):
    return typed(name, decode(data))

# SIGN-1 to SIGN-3
P, L = (2 ** 255 - 19, 2 ** 252 + 27742317777372353535851937790883648493)
D = -121665 * pow(121666, -1, P) % P
I = pow(2, (P - 1) // 4, P)

def add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = (a, b)
    A, B, C, E = ((y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P, 2 * t1 * t2 * D % P, 2 * z1 * z2 % P)
    e, f, g, h = (B - A, E - C, E + C, B + A)
    return (e * f % P, g * h % P, f * g % P, e * h % P)

def mul(k, p):
    q = (0, 1, 1, 0)
    while k:
        if k & 1:
            q = add(q, p)
        p = add(p, p)
        k >>= 1
    return q

def point(raw, any_form=False):
    y = int.from_bytes(raw, 'little')
    sign = y >> 255
    y = (y & 2 ** 255 - 1) % P
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * I % P
    must((x * x - x2) % P == 0)
    must(any_form or not (x == 0 and sign))
    if x & 1 != sign:
        x = -x % P
    return (x, y, 1, x * y % P)

def raw(p):
    x, y, z, _ = p
    inv = pow(z, -1, P)
    x, y = (x * inv % P, y * inv % P)
    return (y | (x & 1) << 255).to_bytes(32, 'little')
BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, 'little'))
SMALL = {0, 1, P - 1} | {int.from_bytes(hx(h), 'little') & 2 ** 255 - 1 for h in ('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')}

def verifies(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], 'little')
    for half in (key, signature[:32]):
        y = int.from_bytes(half, 'little') & 2 ** 255 - 1
        if y >= P or y in SMALL:
            return False
    if s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), 'little') % L
    try:
        a = point(key)
    except Refused:
        return False
    minus = (P - a[0], a[1], 1, P - a[3])
    return raw(add(mul(s, BASE), mul(k, minus))) == signature[:32]

# ENG-66

def verifies_as_cometbft(key, message, signature):
    s = int.from_bytes(signature[32:], 'little')
    if len(key) != 32 or len(signature) != 64 or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), 'little') % L
    try:
        a, r = point(key, True), point(signature[:32], True)
    except Refused:
        return False
    x, y, z, _ = mul(8, add(r, mul(k, a)))
    u, v, w, _ = mul(8, mul(s, BASE))
    return (x * w - u * z) % P == 0 and (y * w - v * z) % P == 0

# SIGN-4 to SIGN-9

def domain(network, kind):
    name = f'sahara/1/{network}/{kind}'.encode()
    return bytes([len(name)]) + name

def fault(network, kind, key, m):
    if m['signature'] == b'':
        return 'signature-missing'
    if len(m['signature']) != 64 or m['sides'] >> len(m['siblings']):
        return 'signature-invalid'
    h = H(b'\x00', domain(network, kind), m['payload'])
    for i, other in enumerate(m['siblings']):
        h = H(b'\x01', other, h) if m['sides'] >> i & 1 else H(b'\x01', h, other)
    return None if verifies(key, domain(network, 'batch') + h, m['signature']) else 'signature-invalid'

def signed_by(network, kind, key, m):
    whys = [fault(network, kind, k, m) for k in SIGNERS.get(key, [key])]
    must(None in whys, whys[0])

# ID
ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

SIGNERS = {}
VOUCHER_KEYS = {}

def proved(root, key, value, p):
    name, n = H(key), len(p['siblings'])
    must(p['leaf'] == {'keyHash': name, 'valueHash': H(value)})
    h = H(b'JMT::LeafNode', name, H(value))
    for i, s in enumerate(p['siblings']):
        right = name[n - 1 - i >> 3] >> 7 - (n - 1 - i & 7) & 1
        h = H(b'JMT::IntrnalNode', s, h) if right else H(b'JMT::IntrnalNode', h, s)
    must(h == root)

# RCPT-85 to RCPT-91
def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)

def number_at(field, n):
    return varint(field << 3) + varint(n % 2 ** 64) if n else b''

def fixed_at(field, n):
    return varint(field << 3 | 1) + n.to_bytes(8, 'little') if n else b''

def message_at(field, raw):
    return varint(field << 3 | 2) + varint(len(raw)) + raw

def bytes_at(field, raw):
    return message_at(field, raw) if raw else b''

def time_of(t):
    return number_at(1, t['seconds']) + number_at(2, t['nanos'])

def block_id(hashed, parts):
    return bytes_at(1, hashed) + message_at(2, number_at(1, parts['total']) + bytes_at(2, parts['hash']))

def voters_hash(voters):
    return grown([message_at(1, bytes_at(1, v['key'])) + number_at(2, v['power']) for v in voters])

def consensus_hash(network, h):
    names = ['lastCommitHash', 'dataHash', 'votersHash', 'nextVotersHash', 'rulesHash', 'appHash', 'lastResultsHash', 'evidenceHash', 'proposer']
    parts = [number_at(1, h['blockVersion']) + number_at(2, h['appVersion']), bytes_at(1, network.encode()), number_at(1, h['height']), time_of(h['time']), block_id(h['lastBlockHash'], h['lastBlockParts'])]
    return grown(parts + [bytes_at(1, h[n]) for n in names])

def decided(network, p, sequencer, through):
    must(H(domain('', 'first-validators'), encode([[f['did'], f['power']] for f in p['first']])) == sequencer)
    voters = sorted(({'key': f['did'], 'power': f['power']} for f in p['first']), key=lambda v: (-v['power'], H(v['key'])[:20]))
    height, after, named, cofactored = (0, (-1, 0), voters_hash(voters), 0)
    must(p['blocks'])
    met = [(b['header']['height'], consensus_hash(network, b['header'])) == through for b in p['blocks']]
    must(through is None or True in met)
    begun = met.index(True) if through else None
    for at, b in enumerate(p['blocks']):
        if begun is not None and at < begun:
            continue
        h, said = (b['header'], b['voters'])
        must(h['height'] > height and said and len(b['votes']) == len(said))
        must(len({v['key'] for v in said}) == len(said) and all(v['power'] for v in said))
        must(h['votersHash'] == voters_hash(said))
        hashed, signed = (consensus_hash(network, h), {})
        for v, vote in zip(said, b['votes']):
            if vote is None:
                continue
            about = number_at(1, 2) + fixed_at(2, h['height']) + fixed_at(3, b['round']) + message_at(4, block_id(hashed, b['parts'])) + message_at(5, time_of(vote['time'])) + bytes_at(6, network.encode())
            vote = (v['key'], varint(len(about)) + about, vote['signature'])
            if not verifies(*vote):
                must(verifies_as_cometbft(*vote))
                cofactored += 1
            signed[v['key']] = v['power']
        now = (h['time']['seconds'], h['time']['nanos'] // 10 ** 6)
        must(now >= after)
        if at == begun:
            pass
        elif h['height'] == height + 1:
            must(h['votersHash'] == named)
        else:
            must(3 * sum(v['power'] for v in voters if v['key'] in signed) > sum(v['power'] for v in voters))
        must(at == begun or 3 * sum(signed.values()) > 2 * sum(v['power'] for v in said))
        must(cofactored <= 1000)
        height, after, named, voters = (h['height'], now, h['nextVotersHash'], said)
    return (h['appHash'], height, (len(signed), len(said), sum(signed.values()), sum(v['power'] for v in said)))

def certified(network, sequencer, m, through=None):
    hd = record('block-header', m['payload'])
    must((hd['version'], hd['network']) == (1, network))
    if m['consensus'] is None:
        must(hd['proposer'] == sequencer)
        must(fault(network, 'block-header', sequencer, m) is None)
        return (hd, None)
    must((m['signature'], m['sides'], m['siblings']) == (b'', 0, []))
    app, height, votes = decided(network, m['consensus'], sequencer, through)
    must(app == H(b'sahara/1/block', m['payload']))
    return (hd, (height, votes))

def keys(all, raw, network, sequencer):
    SIGNERS.clear()
    VOUCHER_KEYS.clear()
    if all is None:
        return
    must(all)
    last = -1
    for b, r in zip(all, raw):
        last = keys_at(b, r, network, sequencer, last)

def keys_at(b, raw, network, sequencer, last):
    hd, _ = certified(network, sequencer, b['header'])
    must(hd['height'] > last)
    here = {}
    for said, (_, value, _) in zip(b['identities'], raw[1]):
        must(said['did'] not in here)
        proved(hd['stateRoot'], bytes([16]) + said['did'], encode(value), said['proof'])
        kept = [k['key'] for k in said['record']['retired'] if k['until'] >= hd['height']]
        here[said['did']] = [said['record']['key']] + kept
    for who, signers in here.items():
        SIGNERS[who] = SIGNERS.get(who, []) + signers
    if b['channels'] is not None:
        must(b['channels'])
        stated = set()
        for said, (_, value, _) in zip(b['channels'], raw[2]):
            must(said['channel'] not in stated)
            stated.add(said['channel'])
            proved(hd['stateRoot'], bytes([2]) + said['channel'], encode(value), said['proof'])
            r = said['record']
            kept = [k['key'] for k in r['voucherKeys'] if k['until'] is None or k['until'] >= hd['height']]
            parties = (said['channel'], r['payer'], r['payee'])
            VOUCHER_KEYS[parties] = VOUCHER_KEYS.get(parties, []) + kept
    return hd['height']

def voucher_signed(network, r, m):
    own = [fault(network, 'voucher', k, m) for k in SIGNERS.get(r['payer'], [r['payer']])]
    of_channel = VOUCHER_KEYS.get((r['channel'], r['payer'], r['payee']), [])
    must(None in own or any(fault(network, 'voucher', k, m) is None for k in of_channel), own[0])

def did(key):
    n, out = (int.from_bytes(b'\xed\x01' + key, 'big'), '')
    while n:
        n, r = divmod(n, 58)
        out = ALPHABET[r] + out
    return 'did:key:z' + out

def covers(held, wanted):
    return wanted.startswith(held[:-1]) if held.endswith('*') else held == wanted

def chain(links, network, root, subject, capability, now):
    issuer, above = (root, None)
    must(1 <= len(links) <= 4)
    for link in links:
        c = record('certificate', link['payload'])
        must(c['version'] == 1)
        must(c['network'] == network)
        must(c['issuer'] == issuer)
        must(c['notBeforeMs'] <= now + 30000)
        must(c['notAfterMs'] + 30000 >= now)
        if above:
            must(above['subject']['kind'] == 'key')
            must(all((any((covers(h, w) for h in above['capabilities'])) for w in c['capabilities'])))
        signed_by(network, 'certificate', c['issuer'], link)
        above, issuer = (c, c['subject']['id'])
    must(above['subject'] == subject)
    must(any((covers(h, capability) for h in above['capabilities'])))

# ENV

def leading_version(payload):
    _, _, at = head(payload, 0)
    return head(payload, at)[1]

def envelope(m, body, network, to, kind, now, known=()):
    must(m['signature'] != b'', 'signature-missing')
    must(leading_version(m['payload']) == 1, 'version-unsupported')
    try:
        e = record('envelope', m['payload'])
    except Refused:
        raise Refused('malformed')
    must(e['issuedAtMs'] > 0 and 0 < e['expiresAtMs'] - e['issuedAtMs'] <= 600000, 'malformed')
    must(e['network'] == network, 'network-mismatch')
    must(not any((n.startswith('!') and n not in known for n in e['extensions'])), 'unknown-critical')
    must(e['to'] == to, 'wrong-recipient')
    must(e['expiresAtMs'] + 30000 >= now, 'expired')
    must(e['issuedAtMs'] <= now + 30000, 'not-yet-valid')
    must(e['bodyType'] == kind and e['bodyHash'] == H(body), 'malformed')
    signed_by(network, kind, e['from'], m)
    return e

# RCPT-10 to RCPT-22

def merkle(leaf, path):
    at, count, rest = (path['index'], path['count'], list(path['siblings']))
    must(at < count)
    h = H(b'\x00', leaf)
    while count > 1:
        if at % 2 == 1 or at + 1 < count:
            must(rest)
            other = rest.pop(0)
            h = H(b'\x01', other, h) if at % 2 else H(b'\x01', h, other)
        at, count = (at // 2, (count + 1) // 2)
    must(not rest)
    return h
b8 = lambda n: n.to_bytes(8, 'big')

def sums(payload, amount, path):
    return summed(H(payload), amount, path)

def summed(hashed, amount, path):
    index, count, start, before, sides = (path['index'], path['count'], 0, 0, [])
    must(index < count)
    for bit in reversed(range(count.bit_length())):
        size = 1 << bit
        if not count & size:
            continue
        if index >= start + size:
            start += size
            before += 1
            continue
        at = index - start
        while size > 1:
            sides.append(at % 2 == 1)
            at, size = (at // 2, size // 2)
        if start + (1 << bit) < count:
            sides.append(False)
        sides += [True] * before
        break
    must(len(sides) == len(path['steps']))
    h, total = (H(b'sahara/1/receipt-leaf', b8(amount), hashed), amount)
    for left, step in zip(sides, path['steps']):
        must(step['left'] == left)
        must(total + step['sum'] <= 10 ** 18)
        a, b = ((step['hash'], step['sum']), (h, total)) if left else ((h, total), (step['hash'], step['sum']))
        h, total = (H(b'sahara/1/receipt-node', b8(a[1]), b8(b[1]), a[0], b[0]), total + step['sum'])
    return (h, total)

# RCPT-1 to RCPT-38
import unicodedata

def units(text):
    n, inside = (0, False)
    for c in text:
        word = unicodedata.category(c)[0] in 'LNM'
        name = unicodedata.name(c, '')
        east = word and re.match('CJK|HIRAGANA|KATAKANA|HANGUL', name) is not None
        if east or (word and (not inside)):
            n += 1
        inside = word and (not east)
    return n

# RCPT-40 to RCPT-46, CALL-83 and CALL-84
def cost(r):
    return r['expenses'] if r['channel'] is None and r['payer'] == r['payee'] else r['amount']

def price_of(r):
    p = r['price']
    return p['perCall'] + p['perInputUnit'] * r['inputUnits'] + p['perOutputUnit'] * r['outputUnits']

def due(r):
    if r['channel'] is None:
        must(r['amount'] == 0)
        must(r['expenses'] == 0 or r['payer'] == r['payee'])
        return
    spared = r['finish'] in ('nothing-found', 'failed') or r['outputUnits'] == 0
    must(r['amount'] == price_of(r) + r['expenses'] or (spared and r['amount'] == r['expenses']))

def inside(above, r, e):
    must(above)
    budget = e['context']['budget']
    must(1 + (budget['depth'] if budget else 0) <= above['depth'])
    must(e['issuedAtMs'] - 30000 <= above['deadlineMs'])
    must(not budget or budget['deadlineMs'] <= above['deadlineMs'])
    if above['skills']:
        must(r['skill'] in above['skills'])
        must(not budget or (budget['skills'] and set(budget['skills']) <= set(above['skills'])))
    must(max(cost(r), budget['amount'] if budget else 0) <= above['amount'])

def tree(network, e, r, children):
    must(len(children) <= 256)
    nodes = {e['id']: (e, r, [])}
    for c in children:
        ce, cr = (record('envelope', c['envelope']['payload']), record('receipt', c['receipt']['payload']))
        must(ce['id'] not in nodes)
        nodes[ce['id']] = (ce, cr, [])
        signed_by(network, 'call', ce['from'], c['envelope'])
        signed_by(network, 'receipt', cr['agent'], c['receipt'])
        must((cr['channel'] is None) == (c['charge'] is None))
        if c['charge']:
            cc = record('charge', c['charge']['payload'])
            signed_by(network, 'charge', cr['payee'], c['charge'])
            must((cc['network'], cc['channel'], cc['lane']) == (network, cr['channel'], cr['lane']))
            must(cc['sequence'] > cr['sequence'])
            must(cc['total'] >= cr['amount'])
    for ce, cr, _ in list(nodes.values())[1:]:
        must(ce['context'])
        must(ce['context']['parent'] in nodes)
        nodes[ce['context']['parent']][2].append(ce['id'])
    root = e['context']['root'] if e['context'] else e['id']
    seen = []
    def walk(name, agents):
        pe, pr, below = nodes[name]
        seen.append(name)
        must(pr['agent'] not in agents)
        spent = 0
        for child in below:
            ce, cr, _ = nodes[child]
            must(ce['version'] == cr['version'] == 1)
            must(ce['network'] == cr['network'] == network)
            must(ce['bodyType'] == 'call' and ce['to']['kind'] == 'agent')
            must(ce['context']['root'] == root)
            must(ce['context']['depth'] == (pe['context']['depth'] if pe['context'] else 0) + 1)
            must(ce['from'] == pr['payee'])
            must((cr['callId'], cr['agent'], cr['payer'], cr['requestHash']) == (ce['id'], ce['to']['name'], ce['from'], ce['bodyHash']))
            must(cr['startedAtMs'] <= cr['finishedAtMs'])
            due(cr)
            inside(pe['context'] and pe['context']['budget'], cr, ce)
            walk(child, agents + [pr['agent']])
            spent += cost(cr)
        must(pr['expenses'] == spent)
        budget = pe['context'] and pe['context']['budget']
        must(spent <= (budget['amount'] if budget else 0))
    walk(e['id'], [])
    must(len(seen) == len(nodes))

def bundle(data, network):
    must(len(data) <= 1 << 24)
    b = record('bundle', data)
    must(b['format'] == 'sahara/bundle/1')
    g = record('genesis', b['genesis'])
    must(re.fullmatch('[a-z0-9][a-z0-9-]{0,31}', g['name']))
    must(network == f"{g['name']}-{H(b'sahara/1/genesis', b['genesis']).hex()[:16]}", 'network')
    keys(b['keys'], decode(data)[-1], network, g['sequencer'])
    card = record('card', b['card']['payload'])
    must(card['version'] == 1)
    must(card['network'] == network)
    signed_by(network, 'card', card['agent'], b['card'])
    o = b['opening']
    now = record('envelope', o['envelope']['payload'])['issuedAtMs']
    chain(record('certificate-chain', card['operatorCertificate']), network, card['operator'], {'kind': 'key', 'id': card['agent']}, 'serve:agent/' + did(card['agent']), now)
    e = envelope(o['envelope'], o['request'], network, {'kind': 'agent', 'name': card['agent']}, 'call', now, ('!once',))
    q = record('call-request', o['request'])
    wire = lambda m: encode([m['payload'], m['signature'], m['sides'], m['siblings']])
    must(q['cardHash'] == H(wire(b['card'])))
    h, answer, sources, cites, spent, children = (H(b'sahara/1/delivery-start', e['id']), '', [], [], 0, [])
    standings = [(h, 0, 0)]
    for i, d in enumerate(b['deliveries']):
        h = H(b'sahara/1/delivery', h, bytes([d['kind']]), H(d['body']))
        must(d['kind'] in (2, 3, 12))
        if d['kind'] == 3:
            sources.append(record('source', d['body']))
            standings.append((h, units(answer), spent))
            continue
        if d['kind'] == 12:
            below = record('call-child', d['body'])
            children.append(below)
            place = record('envelope', below['envelope']['payload'])['context']
            if place and place['parent'] == e['id']:
                spent += cost(record('receipt', below['receipt']['payload']))
            standings.append((h, units(answer), spent))
            continue
        p = record('delta', d['body'])
        must(p['sequence'] == i)
        must(all((c['source'] < len(sources) for c in p['citations'])))
        answer += p['text']
        cites += p['citations']
        standings.append((h, units(answer), spent))
    text = answer.encode()
    for c in cites:
        said, quoted = (text[c['start']:c['end']], sources[c['source']]['text'].encode()[c['sourceStart']:c['sourceEnd']])
        must(c['start'] < c['end'] <= len(text))
        must(said == quoted)
    m = b['ending']['receipt']
    r = record('receipt', m['payload'])
    signed_by(network, 'receipt', card['agent'], m)
    must(r['version'] == 1)
    must(r['network'] == network)
    must(r['callId'] == e['id'])
    must(r['agent'] == card['agent'])
    must(r['payee'] == card['operator'])
    must(r['payer'] == e['from'])
    must(r['requestHash'] == H(o['request']))
    must(r['cardHash'] == q['cardHash'])
    must(r['manifestHash'] == card['manifestHash'])
    must(r['modelDigest'] == card['model']['digest'])
    must(r['skill'] == q['skill'])
    must(q['seed'] in (None, r['seed']))
    must(r['outputUnits'] <= q['outputUnitsMax'])
    must(r['startedAtMs'] <= r['finishedAtMs'])
    must(r['deliveries'] == len(b['deliveries']))
    must(r['responseHash'] == h)
    tree(network, e, r, children)
    must(r['inputUnits'] == units(q['question']) + sum((units(t['text']) for t in q['context'])))
    must(r['outputUnits'] == units(answer))
    pr = card['price']
    must(r['price'] == pr)
    once = '!once' in e['extensions']
    if once:
        # RCPT-71 and RCPT-72
        must((r['channel'], r['lane'], r['sequence'], r['amount']) == (None, 0, 0, pr['perCall']))
        must([(x['asset'], x['role'], x['amount']) for x in r['shares']] == [(card['asset'], 'agent', pr['perCall'])])
        must(e['context'] is None and o['offer'] is None)
        must(pr['perInputUnit'] == pr['perOutputUnit'] == 0 < pr['perCall'])
        must(b['settlement'])
    else:
        due(r)
    paid = r['channel'] is not None
    must(r['amount'] <= q['priceMax'])
    if r['shares']:
        must(sum((s['ppm'] for s in r['shares'])) == 10 ** 6)
        must(sum((s['amount'] for s in r['shares'])) == r['amount'])
        must(len({(s['asset'], s['role']) for s in r['shares']}) == len(r['shares']))
        for s in r['shares']:
            must(s['amount'] >= (r['amount'] - spent) * s['ppm'] // 10 ** 6)
            must(s['role'] != 'calls' or (s['ppm'], s['asset']) == (0, H(b'sahara/1/calls-asset')))
            must(s['role'] != 'knowledge' or s['asset'] in {sources[c['source']]['asset'] for c in cites})
            must(s['role'] != 'agent' or s['asset'] == card['asset'])
        must(r['amount'] == 0 or sum(s['amount'] for s in r['shares'] if s['role'] == 'calls') == spent)
    else:
        must(r['amount'] == 0)
    before = 0
    for i, said in enumerate(b['checkpoints']):
        signed_by(network, 'checkpoint', card['agent'], said)
        k = record('checkpoint', said['payload'])
        must((k['network'], k['callId'], k['channel'], k['sequence']) == (network, e['id'], r['channel'], i))
        must(k['deliveries'] < len(standings))
        must((k['chain'], k['outputUnits'], k['expenses']) == standings[k['deliveries']])
        must(k['inputUnits'] == r['inputUnits'])
        must(k['amount'] == pr['perCall'] + pr['perInputUnit'] * k['inputUnits'] + pr['perOutputUnit'] * k['outputUnits'] + k['expenses'])
        must(k['amount'] >= before)
        before = k['amount']
    v, c = (b['voucher'] or o['voucher'], b['ending']['charge'])
    if paid:
        must(v)
        must(c)
        voucher_signed(network, r, v)
        signed_by(network, 'charge', r['payee'], c)
        vv, cc = (record('voucher', v['payload']), record('charge', c['payload']))
        for x in (vv, cc):
            must(x['network'] == network)
            must(x['channel'] == r['channel'])
            must(x['lane'] == r['lane'])
        must(vv['ceiling'] >= r['amount'])
        must(cc['sequence'] > r['sequence'])
        must(cc['total'] >= r['amount'])
    else:
        must(v is None)
        must(c is None)
    s = b['settlement']
    if s is None:
        return r
    must(paid or once)
    hd, _ = certified(network, g['sequencer'], s['header'])
    must(merkle(wire(s['transaction']), s['transactionPath']) == hd['transactionsRoot'])
    must(merkle(encode([s['result']['code'], s['result']['moved']]), s['resultPath']) == hd['resultsRoot'])
    must(all((s['transactionPath'][k] == s['resultPath'][k] for k in ('index', 'count'))))
    must(s['result']['code'] == 0)
    t = record('transaction', s['transaction']['payload'])
    must(t['network'] == network)
    signed_by(network, 'transaction', t['sender'], s['transaction'])
    if once:
        # RCPT-73 and PAY-75
        must(s['receiptPath'] is None)
        must(t['sender'] == r['payer'])
        must(t['action'] == {'type': 'pay', 'payee': card['operator'], 'asset': card['asset'], 'amount': pr['perCall'], 'reference': H(b'sahara/1/call-payment', e['id'])[:16]})
        return r
    must(s['receiptPath'])
    a = t['action'] if t['action']['type'] == 'claim' else t['action'].get('claim')
    must(a)
    vv, cc = (record('voucher', a['voucher']['payload']), record('charge', a['charge']['payload']))
    for x in (vv, cc):
        must(x['network'] == network)
        must(x['channel'] == r['channel'] == a['channel'])
        must(x['lane'] == r['lane'])
    voucher_signed(network, r, a['voucher'])
    signed_by(network, 'charge', r['payee'], a['charge'])
    must(vv['ceiling'] >= cc['total'])
    must(s['receiptPath']['index'] == r['sequence'])
    must(s['receiptPath']['count'] == cc['sequence'])
    must(sums(m['payload'], r['amount'], s['receiptPath']) == (cc['receiptRoot'], cc['total']))
    at = a['attribution']
    must(all((x['asset'] < y['asset'] for x, y in zip(at, at[1:]))))
    must(H(b'sahara/1/attribution', encode([[x['asset'], x['amount']] for x in at])) == cc['attributionRoot'])
    must(sum((x['amount'] for x in at)) == cc['total'])
    got = {x['asset']: x['amount'] for x in at}
    owed = {}
    for x in r['shares']:
        owed[x['asset']] = owed.get(x['asset'], 0) + x['amount']
    must(all((got.get(k, 0) >= n for k, n in owed.items())))
    return r
checked = 0

def expect(name, valid, attempt):
    global checked
    checked += 1
    SIGNERS.clear()
    try:
        attempt()
        ok = True
    except Refused as e:
        ok = False
    if ok != valid:
        print('DISAGREES:', name, 'valid' if valid else 'invalid')
        FAILED.append(name)
FAILED = []

def each(name, check):
    f = vectors(name)
    for valid in (True, False):
        for c in f['valid' if valid else 'invalid']:
            expect(f"{name}: {c.get('name')}", valid, lambda: check(c, f.get('given', {})))

def enc(c, g):
    v = decode(hx(c['hex']))
    must(encode(v) == hx(c['hex']))
each('encoding', enc)
each('records', lambda c, g: record(c['record'], hx(c['hex'])))
each('ed25519', lambda c, g: must(verifies(hx(c['publicKey']), hx(c['message']), hx(c['signature']))))

def sg(c, g):
    why = fault(g['network'], c['type'], hx(c['publicKey']), record('signed', hx(c['message'])))
    assert why == c.get('code'), (c['name'], why)
    must(why is None)
each('signing', sg)

def named(c, g):
    must(c['did'].startswith('did:key:z'))
    must(all((x in ALPHABET for x in c['did'][9:])))
    n = 0
    for x in c['did'][9:]:
        n = n * 58 + ALPHABET.index(x)
    bytes_ = n.to_bytes((n.bit_length() + 7) // 8, 'big')
    must(len(bytes_) == 34)
    must(bytes_[:2] == b'\xed\x01')
    must(did(bytes_[2:]) == c['did'])
    assert 'publicKey' not in c or bytes_[2:].hex() == c['publicKey']
each('identity', named)

def ev(c, g):
    try:
        envelope(record('signed', hx(c['message'])), hx(c['body']), g['network'], {'kind': g['to']['kind'], 'name': hx(g['to']['name'])}, g['bodyType'], g['nowMs'])
    except Refused as e:
        assert str(e) == c.get('code'), (c['name'], str(e), c.get('code'))
        raise
each('envelope', ev)
each('certificate', lambda c, g: chain(record('certificate-chain', hx(c['chain'])), g['network'], hx(g['root']), {'kind': 'key', 'id': hx(g['subject']['id'])}, g['capability'], g['nowMs']))
each('merkle', lambda c, g: must(merkle(hx(c['leaf']), record('merkle-path', hx(c['path']))) == hx(c['root'])))

def content(c):
    MIB = 1 << 20
    p = record('chunk-proof', hx(c['body']))
    root, size = (hx(c['root']), c['sizeBytes'])
    if c['scheme'] == 'sahara-folder-1':
        must(p['file'])
        about = p['file']['about']
        leaf = encode([about['path'], about['sizeBytes'], about['root']])
        must(merkle(leaf, p['file']['place']) == root)
        root, size = (about['root'], about['sizeBytes'])
    else:
        must(c['scheme'] == 'sha256-merkle-1mib')
        must(p['file'] is None)
    count, first, last = (-(-size // MIB), p['first'], p['first'] + len(p['chunks']))
    must(first < last <= count)
    for i, chunk in enumerate(p['chunks'], first):
        must(len(chunk) == min(MIB, size - i * MIB))
        must(chunk == bytes([i]) * len(chunk))
    beside = list(p['siblings'])

    def tree(at, n):
        if at + n <= first or at >= last:
            must(beside)
            return beside.pop(0)
        if n == 1:
            return H(b'\x00', p['chunks'][at - first])
        left = 1 << ((n - 1).bit_length() - 1)
        low = tree(at, left)
        return H(b'\x01', low, tree(at + left, n - left))
    must(tree(0, count) == root)
    must(not beside)
each('content', lambda c, g: content(c))
each('receipt-tree', lambda c, g: must(sums(hx(c['payload']), int(c['amount']), record('receipt-path', hx(c['path']))) == (hx(c['root']), int(c['sum']))))
each('bundle', lambda c, g: bundle(hx(c['hex']), g['network']))
each('once', lambda c, g: bundle(hx(c['hex']), g['network']))

def vouched(c, g):
    # PAY-3 to PAY-6, PAY-71: why the voucher of a case is refused.
    m = record('signed', hx(c['hex']))
    v, keys = (record('voucher', m['payload']), c.get('voucherKeys', []))
    held_by = record('signed', hx(c.get('held', g['held'])))
    held = record('voucher', held_by['payload'])

    def covers(one):
        named = [hx(k['key']) for k in keys if k['until'] is None]
        return any(fault(g['network'], 'voucher', k, one) is None for k in [hx(g['payer'])] + named)

    def is_former(one):
        return any(fault(g['network'], 'voucher', hx(k['key']), one) is None for k in keys if k['until'] is not None)
    must(v['network'] == g['network'], 'voucher-invalid')
    must(v['lane'] == g['lane'], 'voucher-stale')
    must(v['channel'] == hx(g['channel']), 'channel-unknown')
    must(c.get('state') != 'closing', 'channel-closing')
    must(v['notAfterMs'] is None or v['notAfterMs'] >= g['nowMs'], 'voucher-stale')
    must(v['ceiling'] <= int(g['deposit']), 'voucher-invalid')
    is_later, is_higher = (v['sequence'] > held['sequence'], v['ceiling'] - held['ceiling'])
    must(is_higher >= 0 if is_later else is_higher <= 0, 'voucher-stale')
    must(v['receiptCount'] == 0, 'voucher-stale')
    must((v['receiptRoot'], v['receiptTotal']) == (bytes(32), 0), 'voucher-invalid')
    must(covers(m), 'voucher-stale' if is_former(m) else 'voucher-invalid')
    must(is_later or covers(held_by), 'voucher-stale')

def offered(c, g):
    try:
        vouched(c, g)
    except Refused as e:
        assert str(e) == c.get('code'), (c['name'], str(e), c.get('code'))
        raise
each('voucher', offered)

def proven(e):
    # LEDGER-107, LEDGER-108 and LEDGER-110
    said = [(f, record('charge', e[f]['payload'])) for f in ('first', 'second', 'earlier', 'later', 'charge') if f in e]
    charges = [c for _, c in said]
    receipt = record('receipt', e['receipt']['payload']) if 'receipt' in e else None
    about = charges + ([receipt] if receipt else [])
    here = all((x['network'] == NET and x['channel'] == CHANNEL and (x['lane'] == charges[0]['lane']) for x in about))
    lane = charges[0]['lane'] if here and (receipt is None or receipt['payee'] == PAYEE) else None
    hashes = sorted((H(e[f]['payload']) for f in [f for f, _ in said] + (['receipt'] if receipt else [])))
    return (lane, truth(e, charges, receipt), H(domain(NET, 'evidence-id'), *hashes))

def truth(e, charges, receipt):
    a, b = (charges[0], charges[-1])
    if e['type'] == 'two-charges':
        return min(a['total'], b['total']) if a['sequence'] == b['sequence'] and e['first']['payload'] != e['second']['payload'] else None
    if e['type'] == 'falling-total':
        return b['total'] if a['sequence'] < b['sequence'] and a['total'] > b['total'] else None
    leaf = e['leaf']
    if leaf is None:
        return 0 if a['sequence'] == 0 and a['total'] > 0 else None
    try:
        must(leaf['path']['count'] == a['sequence'])
        root, total = summed(leaf['payloadHash'], leaf['amount'], leaf['path'])
        must(root == a['receiptRoot'])
    except Refused:
        return None
    if e['type'] == 'bad-sum':
        return min(total, a['total']) if total != a['total'] else None
    over = leaf['amount'] - receipt['amount']
    return a['total'] - over if receipt['sequence'] == leaf['path']['index'] and 0 < over <= a['total'] else None
EVIDENCE = vectors('ledger/evidence')
NET, CHANNEL, PAYEE = (EVIDENCE['network'], hx(EVIDENCE['channel']), hx(EVIDENCE['payee']))
for case in EVIDENCE['cases']:
    want = (case['lane'], None if case['total'] is None else int(case['total']), hx(case['id']))
    expect(f"evidence: {case['name']}", True, lambda: must(proven(record('evidence', hx(case['evidence']))) == want))

def share_out(amount, weights):
    # LEDGER-125
    whole, upto, given, out = (sum(weights), 0, 0, [])
    for w in weights:
        upto += w
        now = amount * upto // whole if whole else 0
        out.append(now - given)
        given = now
    return out

def offence(c):
    # LEDGER-125
    ints = lambda xs: [int(x) for x in xs]
    own = ints([c['stake']['own'], *c['stake']['leaving']])
    backers = [ints(b) for b in c['stake']['backers']]
    whole = sum(own) + sum(map(sum, backers))
    penalty = whole * c['slashPpm'] // 10 ** 6
    paid = min(int(c['compensation']), sum(own) - sum(own) * c['slashPpm'] // 10 ** 6)
    told = min(penalty, sum(own) - paid) // 2
    must([int(c[k]) for k in ('taken', 'wronged', 'informer', 'pool')] == [paid + penalty, paid, told, penalty - told])
    first = min(paid + penalty, sum(own))
    cut = lambda parts, taken: [p - s for p, s in zip(parts, share_out(taken, parts))]
    stays = lambda parts: [str(parts[0])] + [[str(p), i + 1] for i, p in enumerate(parts[1:]) if p]
    must(c['left']['own'] == stays(cut(own, first)))
    flat = cut([p for b in backers for p in b], paid + penalty - first)
    for b, left in zip(backers, c['left']['backers']):
        must(left == stays(flat[:len(b)]))
        flat = flat[len(b):]

def reward(c):
    # LEDGER-130 and LEDGER-131
    n = {k: int(c[k]) for k in ('pool', 'paid', 'allWeight', 'weight', 'contributed', 'own', 'reward')}
    must(n['reward'] == min(n['pool'] * n['weight'] // n['allWeight'], n['contributed'], n['pool'] - n['paid']))
    kept = n['reward'] * c['commission'] // 10 ** 6
    shares = share_out(n['reward'] - kept, [n['own'], *map(int, c['delegations'])])
    must([kept + shares[0], *shares[1:]] == [int(x) for x in c['shares']])

def grown(leaves):
    # LEDGER-132, by the rule of RFC 6962: a tree splits at the largest power of two below its size
    if len(leaves) == 1:
        return H(b'\x00', leaves[0])
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return H(b'\x01', grown(leaves[:left]), grown(leaves[left:]))

def dues(received, parents, owners, bounty):
    # LEDGER-24 and LEDGER-87
    m, k = 10 ** 6, sum(parents)
    kept = [received * (m - k) * (m - bounty) * ppm // m ** 3 for ppm in owners]
    return [received * ppm // m for ppm in parents], kept, received * (m - k) * bounty // m ** 2

def split(c, before):
    # LEDGER-20
    owed = [int(a) - b for a, b in zip(c['amounts'], before)]
    given = share_out(int(c['payment']), owed)
    must(given == [int(x) for x in c['credits']])
    return [b + g for b, g in zip(before, given)]

def path(c):
    # LEDGER-88: people are numbers; an asset keeps what it received and what it gave to parents, owners and keepers
    received, given = [0] * len(c['assets']), [None] * len(c['assets'])
    earned = [0, 0, 0]
    for step in c['steps']:
        moved = 0
        if 'receives' in step:
            moved = int(step['amount'])
            received[step['receives']] += moved
        for at in step.get('path', []):
            a = c['assets'][at]
            owed = dues(received[at], [p for _, p in a['parents']], [p for _, p in a['owners']], a['bountyPpm'])
            old = given[at] or ([0] * len(owed[0]), [0] * len(owed[1]), 0)
            up, out, kept = [x - y for x, y in zip(owed[0], old[0])], [x - y for x, y in zip(owed[1], old[1])], owed[2] - old[2]
            for (parent, _), n in zip(a['parents'], up):
                received[parent] += n
            for (who, _), n in zip(a['owners'], out):
                earned[who] += n
            earned[step['keeper']] += kept
            given[at] = owed
            moved += sum(up) + sum(out) + kept
        must(moved == int(step['moved']))
    must(received == [int(x) for x in c['received']] and earned == [int(x) for x in c['earned']])

class Keys:
    """LEDGER-70 to LEDGER-77: records as lists, in the order of their fields."""
    def __init__(self, v):
        self.network, self.delay = (v['network'], record('genesis', hx(v['genesis']))['parameters']['closeDelayBlocks'])
        self.known, self.holders, self.nonces, self.revoked = ({}, {}, {}, set())

    def signers(self, did, height):
        if did not in self.known:
            return [did]
        key, _, retired, _, _ = self.known[did]
        return [key] + [k for k, _, until in retired if until >= height]

    def fit(self, policy, did, key):
        g, n, delay = (policy['guardians'], policy['threshold'], policy['delayBlocks'])
        if did in g or key in g or len(set(g)) < len(g) or n > len(g) or (g and n < 1):
            return 100
        return 0 if self.delay <= delay <= max(self.delay, 604800) else 101

    def used(self, key):
        return key in self.known or key in self.holders or self.nonces.get(key, 0) > 0

    def replace(self, did, key, after, policy, height):
        was, _, retired, old, _ = self.known[did]
        kept = [r for r in retired if r[2] + self.delay >= height]
        if len(kept) >= 8:
            return 102
        self.known[did] = [key, after, kept + [[was, height, height + self.delay]], policy or old, []]
        self.holders[key] = did
        return 0

    def execute(self, m, height):
        t = record('transaction', m['payload'])
        did, a = (t['sender'], t['action'])
        key = self.signers(did, 0)[0]
        if a['type'] == 'rotate-key':
            key = a['key'] if did in self.known and H(a['key']) == self.known[did][1] else None
        if key is None or fault(self.network, 'transaction', key, m):
            return 4
        must(t['nonce'] == self.nonces.get(did, 0))
        self.nonces[did] = t['nonce'] + 1
        return getattr(self, a['type'].replace('-', '_'), lambda *_: 0)(a, did, height)

    def listed(self, policy):
        return policy and [policy['guardians'], policy['threshold'], policy['delayBlocks']]

    def register_identity(self, a, did, height):
        if did in self.known:
            return 96
        if did in self.holders:
            return 98
        if a['next'] == H(did):
            return 99
        bad = self.fit(a['policy'], did, did)
        if not bad:
            self.known[did] = [did, a['next'], [], self.listed(a['policy']), []]
        return bad

    def rotate_key(self, a, did, height):
        if self.used(a['key']):
            return 98
        if a['next'] in (H(did), H(a['key'])):
            return 99
        bad = a['policy'] and self.fit(a['policy'], did, a['key'])
        return bad or self.replace(did, a['key'], a['next'], self.listed(a['policy']), height)

    def recover_identity(self, a, by, height):
        did, key, after = (a['did'], a['key'], a['next'])
        if did not in self.known:
            return 97
        guardians, enough, delay = self.known[did][3]
        if by not in guardians:
            return 103
        if self.used(key):
            return 98
        if after in (H(did), H(key)):
            return 99
        asked = {'payload': encode([1, self.network, did, key, after]), 'signature': a['consent'], 'sides': 0, 'siblings': []}
        if fault(self.network, 'recovery-request', key, asked):
            return 104
        wanted = self.known[did][4]
        if any(w[:2] == [key, after] and by in w[2] for w in wanted):
            return 105
        for w in wanted:
            if by in w[2]:
                w[2].remove(by)
                w[3] = w[3] if len(w[2]) >= enough else None
        wanted[:] = [w for w in wanted if w[2]]
        mine = [w for w in wanted if w[:2] == [key, after]]
        if not mine:
            mine = [[key, after, [], None]]
            wanted += mine
        mine[0][2].append(by)
        if len(mine[0][2]) >= enough and mine[0][3] is None:
            mine[0][3] = height + delay + 1
        return 0

    def cancel_recovery(self, a, did, height):
        if did not in self.known:
            return 97
        if not self.known[did][4]:
            return 106
        self.known[did][4] = []
        return 0

    def finish_recovery(self, a, by, height):
        if a['did'] not in self.known:
            return 97
        for key, after, votes, at in self.known[a['did']][4]:
            if (key, after) == (a['key'], a['next']):
                if at is None or height < at:
                    return 107
                return 98 if self.used(key) else self.replace(a['did'], key, after, None, height)
        return 106

    def revoke_certificate(self, a, did, height):
        if (did, a['serial']) in self.revoked:
            return 108
        self.revoked.add((did, a['serial']))
        return 0

    def open_channel(self, a, did, height):
        self.parties = (did, a['payee'])
        return 0

    def claim(self, a, by, height):
        for kind, did, code in (('voucher', self.parties[0], 85), ('charge', self.parties[1], 86)):
            if all(fault(self.network, kind, k, a[kind]) for k in self.signers(did, height)):
                return code
        return 0
IDENTITIES = vectors('ledger/identities')
KEYS = Keys(IDENTITIES)
for case in IDENTITIES['steps']:
    code = 0 if case['transaction'] is None else KEYS.execute(record('signed', hx(case['transaction'])), case['height'])
    held = [KEYS.known.get(hx(did)) for did in IDENTITIES['dids']]
    want = [None if r is None else decode(hx(r)) for r in case['records']]
    expect(f"identities: {case['name']}", True, lambda: must((code, held) == (case['code'], want)))
SETTLEMENT = vectors('ledger/settlement')
credited = [0, 0, 0]
for case in SETTLEMENT['claims']:
    def attempt():
        global credited
        credited = split(case, credited)
    expect('a payment', True, attempt)
for case in SETTLEMENT['collects']:
    owed = dues(int(case['received']), SETTLEMENT['shares']['parentsPpm'], SETTLEMENT['shares']['ownersPpm'], case['bountyPpm'])
    expect('dues', True, lambda: must(owed == ([int(x) for x in case['parents']], [int(x) for x in case['owners']], int(case['bounty']))))
for case in SETTLEMENT['paths']:
    expect('a path', True, lambda: path(case))
STAKE = vectors('ledger/stake')
for case in STAKE['offences']:
    expect('an offence', True, lambda: offence(case))
for case in STAKE['rewards']:
    expect('a reward', True, lambda: reward(case))
for i, case in enumerate(STAKE['causes']):
    leaves = [hx(c['leaf']) for c in STAKE['causes'][:i + 1]]
    sizes = [1 << b for b in range(8, -1, -1) if i + 1 >> b & 1]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    expect('causes', True, lambda: must(grown(leaves) == hx(case['root']) and [grown(leaves[s:s + n]) for s, n in zip(starts, sizes)] == [hx(p) for p in case['peaks']]))

def worth(c):
    # CALL-125
    covered = (domain(c['network'], 'work'), hx(c['agent']), H(hx(c['envelope'])), hx(c['work']))
    return 256 - int.from_bytes(H(*covered), 'big').bit_length() if len(hx(c['work'])) == 8 else 0
each('work', lambda c, g: must(worth(c) >= c['bits']))
def absent(root, key, p):
    # LEDGER-32
    name, n, leaf = H(key), len(p['siblings']), p['leaf']
    bit = lambda k, i: k[i >> 3] >> 7 - (i & 7) & 1
    must(leaf is None or (leaf['keyHash'] != name and all((bit(name, i) == bit(leaf['keyHash'], i) for i in range(n)))))
    h = b'SPARSE_MERKLE_PLACEHOLDER_HASH__' if leaf is None else H(b'JMT::LeafNode', leaf['keyHash'], leaf['valueHash'])
    for i, s in enumerate(p['siblings']):
        h = H(b'JMT::IntrnalNode', s, h) if bit(name, n - 1 - i) else H(b'JMT::IntrnalNode', h, s)
    must(h == root)

class Audited:
    """RCPT-61 to RCPT-67"""

    def __init__(self, data):
        must(len(data) <= 33554432)
        self.a = a = record('audit', data)
        must(a['format'] == 'sahara/audit/1')
        self.asked = set()

    def check(self, network):
        a = self.a
        g = record('genesis', a['genesis'])
        must(network == f"{g['name']}-{H(b'sahara/1/genesis', a['genesis']).hex()[:16]}")
        self.network, self.sequencer = (network, g['sequencer'])
        hd = self.header(a['header'])
        self.height, self.state, last = (hd['height'], {}, None)
        for r in a['records']:
            must(last is None or last < r['key'])
            last = r['key']
            if r['value'] is None:
                absent(hd['stateRoot'], r['key'], r['proof'])
            else:
                proved(hd['stateRoot'], r['key'], r['value'], r['proof'])
            self.state[r['key']] = r['value']
        s = a['subject']
        {'receipt': self.receipt, 'asset': self.asset, 'did': self.did}[s['type']](s)
        places = set()
        for t in a['transactions']:
            self.transaction(t, s, places)
        must(self.asked == set(self.state))

    def header(self, m):
        return certified(self.network, self.sequencer, m)[0]

    def read(self, tag, key):
        key = bytes([tag]) + key
        self.asked.add(key)
        must(key in self.state)
        return None if self.state[key] is None else decode(self.state[key])

    def node(self, key):
        stored = self.read(4, key)
        if stored is None:
            return None
        money = self.read(5, key)
        return {'by': stored[0], 'depth': stored[1], 'is': typed('action', stored[2]), 'money': money}

    def lineage(self, start):
        nodes, waiting, seen = ({}, list(start), set())
        while waiting:
            at = waiting.pop(0)
            if at in seen or len(seen) == 256:
                continue
            seen.add(at)
            n = self.node(at)
            if n:
                nodes[at] = n
                waiting += [p['asset'] for p in n['is']['parents']]
        for n in nodes.values():
            above = [nodes.get(p['asset']) for p in n['is']['parents']]
            if None not in above:
                must(n['depth'] == max([-1] + [x['depth'] for x in above]) + 1)
            received, forwarded, paid, bounty = n['money']
            kept = 10 ** 6 - sum((p['ppm'] for p in n['is']['parents']))
            owed = [received * p['ppm'] // 10 ** 6 for p in n['is']['parents']]
            own = [received * kept * (10 ** 6 - n['is']['bounty']) * o['ppm'] // 10 ** 18 for o in n['is']['owners']]
            for given, due in ((forwarded, owed), (paid, own), ([bounty], [received * kept * n['is']['bounty'] // 10 ** 12])):
                must(len(given) == len(due) and all((x <= y for x, y in zip(given, due))))
        return nodes

    def lane(self, channel, lane):
        found = self.read(3, channel + lane.to_bytes(4, 'big'))
        if found:
            must(sum((p[2] for p in found[2])) == found[0])
        return found

    def receipt(self, s):
        r = bundle(s['bundle'], self.network)
        SIGNERS.clear()
        self.lineage([x['asset'] for x in r['shares'] if x['role'] != 'calls'])
        if r['channel'] is not None:
            self.read(2, r['channel'])
            self.lane(r['channel'], r['lane'])
        for k in ('payer', 'payee', 'agent'):
            self.read(16, r[k])

    def asset(self, s):
        me = s['asset']
        n = self.lineage([me]).get(me)
        must(n)
        shown = 0
        for x in s['lanes']:
            found = self.lane(x['channel'], x['lane'])
            if found:
                credits = [p[2] for p in found[2] if p[0] == me]
                must(credits)
                shown += credits[0]
        for x in s['children']:
            child = self.node(x)
            if child:
                edges = [f for p, f in zip(child['is']['parents'], child['money'][1]) if p['asset'] == me]
                must(edges)
                shown += edges[0]
        must(shown <= n['money'][0])
        for k in [n['by']] + [o['owner'] for o in n['is']['owners']]:
            self.read(16, k)
        version = self.read(34, me)
        at, before = (version and version[1], None)
        while at:
            one = self.node(at)
            if not one:
                break
            must(before is None or one['is']['replaces'] == before)
            before, after = (at, self.read(34, at))
            at = after and after[2]

    def did(self, s):
        me = s['did']
        self.read(1, me)
        self.read(16, me)
        self.channels = {}
        for k in s['channels']:
            c = self.read(2, k)
            if c:
                must(me in c[:2])
                self.channels[k] = c
                paid = [self.lane(k, n) for n in c[5]]
                must(sum((p[0] for p in paid if p)) == c[3])
        for k in s['assets']:
            n = self.node(k)
            must(n is None or me in [o['owner'] for o in n['is']['owners']])
        for role in range(10):
            self.read(64, me + bytes([role]))
        for slot in range(16):
            e = self.read(69, me + bytes([slot]))
            if e and len(e[5]) == e[4]:
                must(sum((c[4] for c in e[5])) == e[1])
                leaves, at = ([encode(c) for c in e[5]], 0)
                for peak in e[6]:
                    size = 1 << (len(leaves) - at).bit_length() - 1
                    must(grown(leaves[at:at + size]) == peak)
                    at += size
                must(at == len(leaves))

    def transaction(self, t, s, places):
        hd = self.header(t['header'])
        wire = encode([t['transaction'][k] for k in ('payload', 'signature', 'sides', 'siblings')])
        must(hd['height'] <= self.height)
        must(merkle(wire, t['transactionPath']) == hd['transactionsRoot'])
        must(merkle(encode([t['result']['code'], t['result']['moved']]), t['resultPath']) == hd['resultsRoot'])
        must(all((t['transactionPath'][k] == t['resultPath'][k] for k in ('index', 'count'))))
        must(t['result']['code'] == 0)
        place = (hd['height'], t['transactionPath']['index'])
        must(place not in places)
        places.add(place)
        said = record('transaction', t['transaction']['payload'])
        must(said['network'] == self.network)
        act = said['action']
        claims = act['claims'] if act['type'] == 'claim-batch' else [act] if act['type'] == 'claim' else [c for c in [act.get('claim')] if c]
        must(s['type'] != 'receipt')
        if s['type'] == 'asset':
            named = act.get('assets', []) + [act.get('asset')] + [x['asset'] for c in claims for x in c['attribution']]
            must(s['asset'] in named)
        else:
            must(said['sender'] == s['did'] or any((c['channel'] in self.channels for c in claims)))
        self.read(16, said['sender'])

def by_consensus(c):
    through = c.get('through') and (c['through']['height'], hx(c['through']['hash']))
    hd, (height, votes) = certified(c['network'], hx(c['sequencer']), record('certified-header', hx(c['header'])), through)
    must((hd['height'], height, votes) == (c['height'], c['decidedAt'], (c['signed'], c['voters'], c['power'], c['powerOfAll'])))

each('consensus', lambda c, g: by_consensus(c))
AUDIT = vectors('audit')
each('audit', lambda c, g: Audited(hx(c['hex'])).check(c.get('network') or AUDIT['valid'][0]['network']))
print(f'{checked} vectors, {len(FAILED)} disagreements')
sys.exit(1 if FAILED else 0)
