/** The page that `test-browser.ts` opens: verifies bundles and audit files and writes the verdicts into the document. */
export const BROWSER_PAGE = `<!doctype html>
<meta charset="utf-8">
<title>verifier</title>
<pre id="verdict">pending</pre>
<script type="module">
  import { verify } from '/verifier.js';
  const cases = await (await fetch('/cases.json')).json();
  const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => Number.parseInt(pair, 16));
  const report = (name) => {
    const { ok, steps } = verify(bytes(cases[name]));
    const failed = steps.find((step) => !step.ok);
    return name + ': ' + ok + (failed ? ' (' + failed.check + ')' : ', ' + steps.length + ' checks');
  };
  document.getElementById('verdict').textContent = Object.keys(cases).map(report).join('\\n');
</script>
`;
