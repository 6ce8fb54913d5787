/** Sound documents of the formats that hold data, chats and code. */
import { makeDocx, makeZip } from '../../vault/fixtures.ts';

/** Word documents. */
export const DOCX: readonly Uint8Array[] = [
  makeDocx(
    '<w:p><w:pPr><w:pStyle w:val="X2"/></w:pPr><w:r><w:t>Head</w:t></w:r></w:p><w:p><w:r><w:t>Rain &amp; sand.</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc></w:tr></w:tbl>',
  ),
  makeZip([['word/document.xml', '<a><w:p><w:t>x</w:t></w:p></a>']]),
];

/** What stands inside of them. */
export const DOCX_TEXTS: readonly string[] = [
  '<w:document><w:body><w:p><w:pPr><w:pStyle w:val="X"/><w:numPr><w:ilvl w:val="1"/></w:numPr></w:pPr><w:r><w:t>Rain &amp; sand &#233;.</w:t><w:tab/><w:t>x</w:t></w:r></w:p><!-- c --><w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc></w:tr></w:tbl><w:p><w:del><w:r><w:t>gone</w:t></w:r></w:del><w:r><w:t><![CDATA[raw]]></w:t></w:r></w:p></w:body></w:document>',
];

/** Tables. */
export const CSV: readonly string[] = [
  'Name;Notes;Age\r\n"Ann ""A""";"two\nlines; here";31\r\n;;7\r\n',
  'a\tb\nx\ty',
  '1,2\n"',
];

/** JSON. */
export const JSONS: readonly string[] = [
  '{"source":"book","entries":[{"question":"Why?","tags":["a","b"],"by":{"name":"Ann"}},{"n":1.5e3}],"x":null}',
  '[[{"a":[{"b":true}]}],[1,2,"\\u00e9"]]',
];

/** Chats of Discord and Telegram. */
export const CHATS: readonly string[] = [
  '{"guild":{"name":"Oasis"},"channel":{"name":"help","topic":"t"},"messages":[{"id":"1","type":"Default","timestamp":"2024-05-01T10:00:00+00:00","content":"Where?","author":{"name":"ann","nickname":"Ann"}},{"id":"2","type":"Reply","timestamp":"2024-05-01T10:01:00+00:00","content":"There.","author":{"name":"bo"},"reference":{"messageId":"1"},"attachments":[{"fileName":"map.png"}]}]}',
  '{"name":"Wells","type":"group","id":7,"messages":[{"id":1,"type":"message","date":"2024-05-01T10:00:00","from":"Ann","text":["See ",{"type":"link","text":"here"}]},{"id":3,"type":"message","date":"x","from":"Bo","text":"ok","reply_to_message_id":1}]}',
];

/** Source code. */
export const CODE: readonly string[] = [
  "import a from 'b';\n\n/** Says. */\nexport function f(x) {\n\treturn x;\n}\n\nclass A {\n  m() {\n    if (1) {\n      g();\n    } else {\n      h();\n    }\n  }\n}\n",
  "@d\ndef f():\n    '''doc'''\n    return 1\n\nclass B:\n    x = 1\n    def g(self):\n        pass\n```\n",
];
