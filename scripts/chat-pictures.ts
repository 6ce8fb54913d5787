/**
 * Conversations with the bots as pictures: `npm run pictures:bridges` writes pages, and with a Chromium at hand images, to
 * `.cache/chat-pictures/`. With `--golden` the text files that tests compare with are written anew: look at the pictures first.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asText, discordTranscript, type Line, telegramTranscript } from '../test/bridges/transcripts.ts';

const root = join(import.meta.dirname, '..');
const out = join(root, '.cache/chat-pictures');
const LOOKS = {
  telegram: { page: '#d5e3c8', bot: '#fff', person: '#e3fecb', ink: '#111' },
  discord: { page: '#313338', bot: '#2b2d31', person: '#383a40', ink: '#dbdee1' },
} as const;

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

/** The few marks that a reply is written with; a backslash takes the next character as it is. */
function asHtml(markdown: string): string {
  const kept: string[] = [];
  const keep = (html: string): string => `\ue000${kept.push(html) - 1}\ue000`;
  return markdown
    .replace(/```\w*\n([\s\S]*?)\n```/g, (_, code: string) => keep(`<pre>${escaped(code)}</pre>`))
    .replace(/`([^`]+)`/g, (_, code: string) => keep(`<code>${escaped(code)}</code>`))
    .replace(/\\(.)/g, (_, character: string) => keep(escaped(character)))
    .replace(/\[([^\]]+)\]\(<?([^)>]+)>?\)/g, (_, text: string) => keep(`<u>${escaped(text)}</u>`))
    .replace(/[&<>]/g, escaped)
    .replace(/\*\*(.+?)\*\*/g, '<b>$1</b>')
    .replace(/\*(.+?)\*/g, '<i>$1</i>')
    .replace(/~~(.+?)~~/g, '<s>$1</s>')
    .replaceAll(/\ue000(\d+)\ue000/g, (_, i: string) => kept[Number(i)] ?? '');
}

function page(lines: readonly Line[], looks: (typeof LOOKS)[keyof typeof LOOKS]): string {
  const bubbles = lines.map(({ from, text, buttons }) => {
    const row = buttons.map((label) => `<span>${escaped(label)}</span>`).join('');
    return `<div class="${from}"><section>${asHtml(text)}</section>${row && `<nav>${row}</nav>`}</div>`;
  });
  const style = [
    `body{background:${looks.page};color:${looks.ink};font:15px/1.4 sans-serif;width:560px;margin:12px}`,
    'div{max-width:460px;margin:8px 0;padding:8px 12px;border-radius:10px;overflow-wrap:anywhere}',
    `div.bot{background:${looks.bot}} div.person{background:${looks.person};margin-left:auto;width:fit-content}`,
    'section{white-space:pre-wrap} pre,code{background:#8883;border-radius:4px;padding:1px 4px;margin:0}',
    'nav{display:flex;gap:6px;margin-top:8px} nav span{background:#8884;border-radius:6px;padding:4px 10px}',
  ].join('\n');
  return `<!doctype html><meta charset="utf-8"><title>A conversation</title><style>${style}</style>${bubbles.join('\n')}`;
}

function photograph(file: string): boolean {
  const names = [process.env.CHROMIUM_BIN ?? '', 'chromium', 'chromium-browser', 'google-chrome'];
  const chromium = names.find((name) => name !== '' && spawnSync(name, ['--version']).status === 0);
  if (chromium === undefined) return false;
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--hide-scrollbars',
    '--window-size=600,2400',
  ];
  const shot = `--screenshot=${file.replace(/\.html$/, '.png')}`;
  return spawnSync(chromium, [...flags, shot, `file://${file}`]).status === 0;
}

await mkdir(out, { recursive: true });
for (const [name, transcript] of [
  ['telegram', telegramTranscript],
  ['discord', discordTranscript],
] as const) {
  const lines = await transcript();
  const file = join(out, `${name}.html`);
  await writeFile(file, page(lines, LOOKS[name]));
  const hasImage = photograph(file);
  process.stdout.write(`${hasImage ? file.replace(/\.html$/, '.png') : file}\n`);
  if (process.argv.includes('--golden')) {
    await mkdir(join(root, 'test/bridges/golden'), { recursive: true });
    await writeFile(join(root, `test/bridges/golden/${name}.txt`), asText(lines));
  }
}
