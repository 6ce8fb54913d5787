/** What people read about failures on their own machine: the daemon, documents, the ledger, proofs, platforms. */
import { at, type SentenceTable } from './sentence.ts';

/** Usage and environment. */
export const ENVIRONMENT_SENTENCES: SentenceTable<
  | 'usage'
  | 'config-invalid'
  | 'node-unsupported'
  | 'home-unreadable'
  | 'home-in-use'
  | 'daemon-not-running'
  | 'port-busy'
  | 'store-locked'
  | 'store-corrupt'
  | 'disk-full'
  | 'key-missing'
  | 'key-locked'
  | 'passphrase-wrong'
> = {
  usage: (f) => [
    'The command was not understood.',
    `${f('reason', f('message', 'An argument is missing or unknown'))}.`,
    `${f('next', 'Run it again with --help to see what it takes')}.`,
  ],
  'config-invalid': (f) => [
    `The configuration cannot be used: ${f('field', 'a field')}${at(f)}.`,
    `${f('reason', `Found ${f('found', 'something else')}, allowed is ${f('allowed', 'another value')}`)}.`,
    'Correct the field and start again.',
  ],
  'node-unsupported': (f) => [
    `This needs Node.js ${f('needed', '22.18 or newer')}.`,
    `It was started by Node.js ${f('found', 'of an older version')}.`,
    'Run `npm ci` in the package folder, which brings its own Node.js, or install a newer one.',
  ],
  'home-unreadable': (f) => [
    `The folder ${f('path', 'of this daemon')} cannot be used.`,
    `${f('reason', 'It cannot be read or written')}.`,
    'Check its owner and permissions, or choose another with SAHARA_HOME.',
  ],
  'home-in-use': (f) => [
    `The folder ${f('path', 'of this daemon')} is in use.`,
    `Another daemon${f('pid') && ` (process ${f('pid')})`} is running in it.`,
    'Use that daemon, stop it, or choose another folder with SAHARA_HOME.',
  ],
  'daemon-not-running': (f) => {
    if (f('reason') === 'it went away') {
      return [
        'The daemon went away before its answer was whole.',
        'It was stopped or has crashed.',
        'Start it again with `sahara up`; `sahara resume` goes on with a call that was under way.',
      ];
    }
    const starting = f('reason') === 'starting';
    return [
      starting ? 'The daemon does not answer yet.' : 'The daemon is not running.',
      starting
        ? `It is starting${f('pid') && ` (process ${f('pid')})`}.`
        : `Nothing answers in ${f('home', f('path', 'its home folder'))}.`,
      starting ? 'Try again in a moment.' : 'Start it with `sahara up`.',
    ];
  },
  'port-busy': (f) => [
    `Port ${f('port', 'for listening')} is taken.`,
    'Another program listens there already.',
    'Stop that program or choose another port in the configuration.',
  ],
  'store-locked': (f) => [
    `The database ${f('path')} is locked.`,
    'Another process has it open.',
    'Stop the other daemon that uses this home folder.',
  ],
  'store-corrupt': (f) => [
    `The database or file ${f('path')} is damaged.`,
    `${f('reason', 'Its contents do not fit together')}.`,
    `${f('advice', 'Run `sahara doctor`; restore the folder from a backup if it cannot be mended')}.`,
  ],
  'disk-full': (f) => [
    'Nothing more can be written.',
    `The disk${f('path') && ` that holds ${f('path')}`} is full.`,
    'Free some space and start again; what was acknowledged is safe.',
  ],
  'key-missing': (f) => [
    `There is no key ${f('name')}.`,
    `It was not found in ${f('path', 'the key folder')}.`,
    'List the keys with `sahara id`, or import the key from its backup.',
  ],
  'key-locked': (f) => [
    `The key ${f('name')} is locked.`,
    'It is encrypted and no passphrase was given.',
    'Give the passphrase in SAHARA_PASSPHRASE or its file.',
  ],
  'passphrase-wrong': (f) => [
    `The key ${f('name')} could not be unlocked.`,
    'The passphrase does not fit.',
    'Try the passphrase again; without it only a backup of the key helps.',
  ],
};

/** Agents, vaults and documents. */
export const KNOWLEDGE_SENTENCES: SentenceTable<
  | 'manifest-invalid'
  | 'agent-exists'
  | 'vault-unknown'
  | 'vault-exists'
  | 'vault-empty'
  | 'vault-in-use'
  | 'grant-refused'
  | 'archive-invalid'
  | 'home-full'
  | 'document-unsupported'
  | 'document-too-large'
  | 'document-unreadable'
  | 'file-missing'
  | 'backend-failed'
  | 'backend-missing'
  | 'program-missing'
  | 'tool-failed'
  | 'context-overflow'
  | 'model-unknown'
  | 'model-exists'
  | 'model-in-use'
  | 'model-invalid'
  | 'download-failed'
  | 'memory-insufficient'
> = {
  'manifest-invalid': (f) => [
    `The agent's manifest cannot be used: ${f('field', 'a field')}${at(f)}.`,
    `${f('reason', `Found ${f('found', 'something else')}, allowed is ${f('allowed', 'another value')}`)}.`,
    'Correct the manifest and add the agent again.',
  ],
  'agent-exists': (f) => [
    `An agent ${f('name', f('agent', 'of that name'))} exists already.`,
    'Names are unique in one daemon.',
    'Choose another name or remove the first.',
  ],
  'vault-unknown': (f) => [
    `There is no vault ${f('name', f('vault', 'of that name'))}.`,
    f('nearest') ? `Close to it: ${f('nearest')}.` : 'No vault of this peer has a similar name.',
    'See `sahara vault list`, or make it with `sahara vault create`.',
  ],
  'vault-exists': (f) => [
    `A vault ${f('name', f('vault', 'of that name'))} exists already.`,
    'Names are unique in one daemon.',
    'Choose another name or add documents to the one that is there.',
  ],
  'vault-empty': (f) => [
    `The vault ${f('name', f('vault', ''))} is empty.`,
    'An agent needs documents to answer from.',
    'Add some with `sahara vault add`.',
  ],
  'vault-in-use': (f) => [
    `The vault ${f('name', f('vault', ''))} is in use.`,
    `${f('agent') ? `The agent ${f('agent')} answers` : 'An agent answers'} from it.`,
    'Remove the agent first with `sahara agent remove`.',
  ],
  'grant-refused': (f) => [
    'The grant does not allow this.',
    `Reason: ${f('reason', 'it is not for this')}.`,
    'Ask the owner of the vault for another grant.',
  ],
  'archive-invalid': (f) => [
    'The archive of a vault cannot be used.',
    `Reason: ${f('reason', 'it is damaged')}.`,
    'Get it again from who made it.',
  ],
  'home-full': (f) => [
    'This home takes no more.',
    `It holds at most ${f('limit', 'a set number of')} ${f('what', 'of these')}.`,
    'Remove one that is not needed, or use a second home.',
  ],
  'document-unsupported': (f) => [
    `${f('path', f('document', 'The document'))} is of a kind that cannot be read.`,
    `It is ${f('found', f('kind', 'neither text, Markdown, HTML nor PDF'))}.`,
    `${f('advice', 'Convert it to text, Markdown, HTML or PDF')}.`,
  ],
  'document-too-large': (f) => [
    `${f('path', f('document', 'The document'))} is too large.`,
    `${f('reason', `It has ${f('sizeBytes', 'more')} bytes, at most ${f('limitBytes', f('maxBytes', 'the limit'))} are taken`)}.`,
    `${f('advice', 'Split it into smaller documents')}.`,
  ],
  'document-unreadable': (f) => [
    `${f('path', f('document', 'The document'))} cannot be read.`,
    `${f('reason', 'Its contents are damaged or protected')}.`,
    `${f('advice', 'Open it in the program that made it and save it again')}.`,
  ],
  'file-missing': (f) => [
    `${f('path', 'The file')} is not there.`,
    `${f('reason', 'No file or folder has that name')}.`,
    `${f('advice', 'Check the spelling and the folder you are in')}.`,
  ],
  'backend-failed': (f) => [
    `The model backend ${f('backend', '')} failed.`,
    `${f('reason', 'It gave no answer')}.`,
    'Try again; `sahara doctor` tells whether the backend is well.',
  ],
  'backend-missing': (f) => [
    `The model backend ${f('backend', '')} is not installed.`,
    `${f('reason', 'Something that it needs is missing')}.`,
    'Install it or choose another backend in the manifest.',
  ],
  'program-missing': (f) => [
    `${f('program', 'A program that this needs')} is not installed.`,
    `${f('reason', 'It is neither where it was said to be nor on the path')}.`,
    `${f('advice', 'Install it and try again')}.`,
  ],
  'tool-failed': (f) => [
    `The tool ${f('tool', '')} failed.`,
    `${f('reason', 'It gave no result')}.`,
    "Try it by hand, and look at the agent's manifest: `sahara agent show`.",
  ],
  'context-overflow': (f) => [
    'The question and its context do not fit into the model.',
    `They take ${f('found', f('units', 'more'))} units, ${f('limit', 'fewer')} fit.`,
    'Ask something shorter or send fewer earlier turns.',
  ],
  'model-unknown': (f) => [
    `There is no model ${f('name', f('model', 'of that name'))}.`,
    f('nearest') ? `Close to it: ${f('nearest')}.` : 'No model of this home has a similar name.',
    'See `sahara model list`, or get it with `sahara model add` or `sahara model pull`.',
  ],
  'model-exists': (f) => [
    `A model ${f('name', f('model', 'of that name'))} exists already.`,
    'Names are unique in one home, and this one stands for another file.',
    'Choose another with --name, or remove the first with `sahara model remove`.',
  ],
  'model-in-use': (f) => [
    `The model ${f('name', f('model', ''))} is in use.`,
    `${f('agents') ? `It is answered with by ${f('agents')}` : 'An agent answers with it'}.`,
    'Remove the agent first with `sahara agent remove`, or give it another model.',
  ],
  'model-invalid': (f) => [
    `${f('path', f('name', 'The model'))} is no model that can be used.`,
    `${f('reason', 'Its contents do not fit together')}.`,
    `${f('advice', 'Get the file again, or another one')}.`,
  ],
  'download-failed': (f) => [
    `The download of ${f('url', 'the file')} did not end.`,
    `${f('reason', 'The server could not be reached')}.`,
    `${f('advice', 'Run the same command again: it goes on where it stopped')}.`,
  ],
  'memory-insufficient': (f) => [
    `${f('model', 'The model')} does not fit into memory.`,
    `${f('reason', 'It needs more than is free')}.`,
    `${f('advice', 'Choose a smaller model or a smaller context')}.`,
  ],
};

/** The ledger. */
export const LEDGER_SENTENCES: SentenceTable<
  | 'tx-invalid'
  | 'tx-refused'
  | 'tx-unknown'
  | 'block-invalid'
  | 'ledger-halted'
  | 'upgrade-needed'
  | 'snapshot-invalid'
  | 'state-unproven'
  | 'ledger-light'
  | 'account-unknown'
  | 'asset-unknown'
  | 'content-invalid'
  | 'licence-refused'
  | 'not-local-network'
> = {
  'tx-invalid': (f) => [
    'The transaction is not well-formed.',
    `${f('reason', 'A field is out of its range')}.`,
    'Correct it and send it again; it cost nothing.',
  ],
  'tx-refused': (f) => [
    'The ledger refused the transaction.',
    `${f('reason', `Its result is ${f('code', 'a refusal')}`)}.`,
    'Nothing was moved; look at the account and send a new one.',
  ],
  'tx-unknown': (f) => [
    `The ledger does not know the transaction ${f('transaction', f('id', ''))}.`,
    'It was never included, or this peer is behind.',
    'Wait for the next block and look again before sending anything anew.',
  ],
  'block-invalid': (f) => [
    `Block ${f('height', '')} does not hold.`,
    `${f('reason', 'Executing it gives another result than it states')}.`,
    'It was not applied; ask another peer for the block.',
  ],
  'ledger-halted': (f) => [
    'The ledger has stopped.',
    `${f('reason', 'An invariant of it was broken')}.`,
    'Run `sahara ledger verify` and restore the last sound state.',
  ],
  'upgrade-needed': (f) => [
    'The network goes on by rules that this program does not know.',
    `From block ${f('height', 'of a coming height')} on it has version ${f('version', 'a later one')} of its rules; this program knows up to version ${f('known', 'an earlier one')}.`,
    'Install a newer version of sahara and start it again: it goes on at this block, and nothing is lost.',
  ],
  'snapshot-invalid': (f) => [
    'The snapshot cannot be restored.',
    `${f('reason', 'It is not what its header says')}.`,
    'Nothing of it was kept; fetch it again, or from another peer.',
  ],
  'state-unproven': (f) => [
    'No peer proved what the ledger holds.',
    `${f('reason', 'None answered')}.`,
    'Try again, or connect to another peer that keeps the ledger.',
  ],
  'ledger-light': (f) => [
    `${f('what', 'That')} takes the whole ledger, and this peer does not keep it.`,
    'It is a light client: it follows signed headers and has its own records proved.',
    'Ask a peer that keeps the ledger, or start with --ledger-mode full.',
  ],
  'account-unknown': (f) => [
    `The ledger has no account ${f('account', f('owner', ''))}.`,
    'It has never received anything.',
    'Send something to it, or check its name.',
  ],
  'licence-refused': (f) => [
    `The licences do not allow ${f('what', 'it')} to be made.`,
    `What stands against it: ${f('reasons', 'a parent does not allow it')}.`,
    'Nothing was sent; change its terms or parents, or ask for what is missing: `sahara licence`.',
  ],
  'content-invalid': (f) => [
    'The content is not proved.',
    `${f('reason', 'It is not what was committed to')}.`,
    'Correct what is asked for, or ask whoever has the whole for another proof.',
  ],
  'asset-unknown': (f) => [
    `The ledger has no asset ${f('asset', '')}.`,
    'It was never registered, or this peer is behind.',
    'Check its id, or register it first.',
  ],
  'not-local-network': () => [
    'That works on a local network only.',
    'A faucet would make money from nothing anywhere else.',
    'Fund the account by a transfer.',
  ],
};

/** Proofs, merging, bridges and defects. */
export const OTHER_SENTENCES: SentenceTable<
  | 'bundle-invalid'
  | 'receipt-unknown'
  | 'recipe-invalid'
  | 'tensor-invalid'
  | 'merge-refused'
  | 'token-missing'
  | 'token-refused'
  | 'platform-failed'
  | 'internal'
> = {
  'bundle-invalid': (f) => [
    'The evidence does not hold.',
    `${f('check') && `${f('check')}: `}${f('reason', f('detail', 'A check failed'))}.`,
    'Do not rely on it; ask the peer that made it for the original file.',
  ],
  'receipt-unknown': (f) => [
    `There is no receipt ${f('receipt', f('callId', f('id', '')))}.`,
    'This daemon has not made or received it.',
    'See `sahara receipts` for those it has.',
  ],
  'recipe-invalid': (f) => [
    `The merge recipe cannot be used${f('field') && `: ${f('field')}`}${at(f)}.`,
    `${f('problems', f('reason', `Found ${f('found', 'something else')}, allowed is ${f('allowed', 'another value')}`))}.`,
    'Correct the recipe and try again.',
  ],
  'tensor-invalid': (f) => [
    `${f('tensor', f('name')) ? `The tensor ${f('tensor', f('name'))}` : 'A model file'} cannot be used${at(f)}.`,
    `${f('reason', 'Its shape, type or bytes do not fit')}${f('index') && `, at element ${f('index')}`}.`,
    'Fetch the model file again and compare its hash.',
  ],
  'merge-refused': (f) => [
    `The merge was refused${at(f)}.`,
    `${f('problems', f('reason', 'A licence or shape stands against it'))}.`,
    `${f('advice', 'Put right what is named and try again')}.`,
  ],
  'token-missing': (f) => [
    `The access token for ${f('platform', f('what', 'the platform'))} is missing.`,
    `${f('variable', 'Its variable')} is not set.`,
    'Put the token into that variable or its file and start again.',
  ],
  'token-refused': (f) => [
    `${f('platform', 'The platform')} refused the access token.`,
    'It is wrong or has been withdrawn.',
    'Make a new token on the platform and set it.',
  ],
  'platform-failed': (f) => [
    `${f('platform', 'The platform')} did not do what was asked.`,
    `${f('reason', 'It answered with an error')}.`,
    'Nothing is lost; it is tried again by itself.',
  ],
  internal: (f) => [
    'Something went wrong inside Sahara.',
    `${f('reason', 'This is a defect of the program')}.`,
    'Please report it with the log; trying again may work.',
  ],
};
