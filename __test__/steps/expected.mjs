// What each step of the corpus is given, what it records, and how it ends. Steps that are not said to end
// otherwise return; what is not named is not there.

/** Where steps send to; the engine of the tests refuses the address, so that nothing leaves. */
export const URL = 'http://127.0.0.1:9/hook'

/**
 * @typedef {object} Expected
 * @property {Record<string, any>} [event] and `url`, which each event has
 * @property {Record<string, any>} [steps]
 * @property {Record<string, any>} [props]
 * @property {Record<string, any>} [auths]
 * @property {string[]} [sends]
 * @property {unknown} [returned]
 * @property {Record<string, unknown>} [exports]
 * @property {unknown} [response]
 * @property {'ended' | 'exited' | 'threw'} [ends]
 * @property {string} [message] of the end
 * @property {number} [warnings]
 */

/** @type {Record<string, Expected>} */
export const EXPECTED = {
  'v1-2019/01-forward-body.js': {
    event: { body: { name: 'Ada' } },
    sends: ['http POST /hook {"name":"Ada"}'],
  },
  'v1-2019/02-export-by-this.js': {
    event: { body: { name: 'Ada' } },
    exports: { name: 'ADA', length: 3 },
  },
  'v1-2019/03-earlier-export.js': {
    steps: { lookup: { name: 'Grace' } },
    exports: { greeting: 'Hello Grace' },
  },
  'v1-2019/04-returned-value.js': {
    event: { items: [{ total: 5 }, { total: 20 }] },
    returned: [{ total: 20 }],
  },
  'v1-2019/05-end.js': { event: { body: {} }, ends: 'ended', message: 'no email' },
  'v1-2019/06-not-ended.js': {
    event: { body: { email: 'a@example.com' } },
    sends: ['email {"subject":"Welcome","text":"Hello a@example.com"}'],
  },
  'v1-2019/07-params.js': { props: { method: 'PUT', id: 7 }, sends: ['http PUT /hook/7'] },
  'v1-2019/08-auths.js': {
    props: { text: 'hi' },
    auths: { slack: { oauth_access_token: 't', oauth_uid: 'U1' } },
    sends: ['http POST /hook {"text":"hi"}'],
    exports: { user: 'U1' },
  },
  'v1-2019/09-loop.js': {
    event: { rows: [{ id: 1 }, { id: 2 }] },
    sends: [
      'sql {"table":"orders","payload":{"id":1}}',
      'sql {"table":"orders","payload":{"id":2}}',
    ],
    exports: { count: 2 },
  },
  'v1-2019/10-archive.js': {
    event: { kind: 'lead' },
    sends: [`s3 {"bucket":"archive","prefix":"lead/","payload":{"url":"${URL}","kind":"lead"}}`],
  },
  'v1-2019/11-require.js': {
    event: { text: 'abc' },
    exports: { hash: 'a9993e364706816aba3e25717850c26c9cd0d89d', path: '/hook' },
  },
  'v1-2019/12-thrown-after-send.js': {
    sends: ['http POST /hook {"step":1}'],
    ends: 'threw',
    message: 'the API said no',
  },
  'v1-2019/13-named-function.js': {
    event: { id: 4 },
    sends: ['sse {"channel":"orders","payload":{"id":4}}'],
    exports: { id: 4 },
  },
  'v1-2019/14-nested-arrows.js': { event: { names: ['a', 'b'] }, exports: { a: 0, b: 1 } },
  'v1-2019/15-comments-around.js': {
    event: { text: 'x #a/b y #c' },
    sends: ['emit {"event":{"tag":"#a/b"}}', 'emit {"event":{"tag":"#c"}}'],
  },
  'v1-2021/01-return.js': {
    event: { items: [{ price: 2 }, { price: 3 }] },
    returned: { total: 5 },
  },
  'v1-2021/02-await.js': { sends: ['http POST /hook {"waited":true}'] },
  'v1-2021/03-early-return.js': {
    event: { headers: {} },
    props: { secret: 's' },
    returned: 'refused',
  },
  'v1-2021/04-this-and-end.js': {
    event: { id: 3 },
    steps: { dedupe: { seen: [3] } },
    ends: 'ended',
    message: 'seen 3',
    exports: { seen: [3] },
  },
  'v1-2021/05-pinned-require.js': { returned: 'functiontrue', warnings: 1 },
  'v1-2021/06-platform-import.js': { returned: 'function' },
  'v1-2021/07-functions-below.js': {
    event: { kind: 'lead', fields: { a: 1, b: 2 } },
    sends: ['email {"subject":"New lead","text":"a: 1, b: 2"}'],
  },
  'v1-2021/08-own-event.js': { event: { event: 'x' }, returned: ['x', 1] },
  'v1-2021/09-callback-inside.js': { returned: 'done', exports: { isDirectory: true } },
  'v1-2021/10-auth-header.js': {
    auths: { jira: { username: 'u', password: 'p' } },
    sends: ['http GET /hook?q=open'],
  },
  'v1-2021/11-labels-and-loops.js': {
    event: {
      rows: [
        [1, null],
        [2, 3],
      ],
    },
    sends: ['emit {"event":{"name":"full","event":{"row":[2,3]}}}'],
  },
  'v1-2021/12-generator.js': {
    event: { pages: 2 },
    sends: [
      'sse {"channel":"pages","payload":{"page":1}}',
      'sse {"channel":"pages","payload":{"page":2}}',
    ],
  },
  'v1-2021/13-template-text.js': {
    event: { names: ['<a', 'b'] },
    sends: ['email {"subject":"List","text":"<ul><li>a</li><li>b</li></ul>"}'],
  },
  'v1-2021/14-rejected.js': { event: { what: 'luck' }, ends: 'threw', message: 'no luck' },
  'v1-2021/15-module-exports.js': {
    event: { name: 'n', count: 2 },
    returned: 'n: 2',
    exports: { line: 'n: 2' },
  },
  'v2-2022/01-bare-component.js': { event: { name: 'Ada' }, returned: 'Ada' },
  'v2-2022/02-bare-object.js': { event: { name: 'Ada' }, exports: { name: 'Ada' } },
  'v2-2022/03-props.mjs': {
    props: { url: URL },
    sends: ['http POST /hook {"text":"hello"}'],
    exports: { $summary: 'Sent' },
  },
  'v2-2022/04-methods.mjs': { sends: ['http DELETE /hook'] },
  'v2-2022/05-app.mjs': {
    auths: { github: { oauth_access_token: 't' } },
    returned: { authorization: 'token t' },
  },
  'v2-2022/06-exit.mjs': { event: { draft: true }, ends: 'exited', message: 'a draft' },
  'v2-2022/07-not-exited.mjs': {
    event: { draft: false },
    sends: ['emit {"event":{"published":true}}'],
  },
  'v2-2022/08-pinned-import.mjs': { returned: ['function', '1'] },
  'v2-2022/09-in-a-js-file.js': { event: { text: 'x' }, returned: '4fc3b7ea' },
  'v2-2022/10-require-beside-export.mjs': { event: { file: '/a/b.txt' }, returned: 'b.txt' },
  'v2-2022/11-thrown.mjs': {
    sends: ['email {"subject":"Failed","text":"see the log"}'],
    ends: 'threw',
    message: 'failed on purpose',
  },
  'v2-2022/12-six-destinations.mjs': {
    sends: [
      'http POST /hook {"n":1}',
      'email {"subject":"s","text":"t"}',
      's3 {"bucket":"b","prefix":"p/","payload":"x"}',
      'sql {"table":"t","payload":{"a":1}}',
      'sse {"channel":"c","payload":{"a":1}}',
      'emit {"event":{"a":1}}',
    ],
  },
  'v2-2022/13-state-of-a-module.mjs': { event: { id: 'a' }, returned: [['a', 1]] },
  'v2-2022/14-common-js.cjs': { event: { list: [1] }, returned: '[ 1 ]' },
  'v2-2022/15-async-options.mjs': {
    props: { channel: 'news' },
    sends: ['sse {"channel":"news","payload":{"ok":true}}'],
  },
  'v2-now/01-scaffold.mjs': { event: { a: 1 }, returned: { url: URL, a: 1 } },
  'v2-now/02-platform-axios.mjs': { props: { url: URL }, returned: 'function' },
  'v2-now/03-env.mjs': { exports: { key: 'from the environment' } },
  'v2-now/04-one-line.js': { event: { name: 'Dylan' }, returned: 5, exports: { name: 'Dylan' } },
  'v2-now/05-several-exports.mjs': { event: { n: 4 }, returned: 8 },
  'v2-now/06-named-run.mjs': { returned: 3 },
  'v2-now/07-dynamic-import.mjs': { returned: ['function', 'b'] },
  'v2-now/08-helper.js': { event: { name: 'Ada' }, returned: ['Hello Ada', ['en']] },
  'v2-now/09-json.mjs': { event: { kind: 'delete' }, sends: ['http DELETE /hook/items'] },
  'v2-now/10-class.mjs': { sends: ['emit {"event":{"item":1}}', 'emit {"event":{"item":2}}'] },
  'v2-now/11-end-in-component.mjs': {
    event: { stop: true },
    sends: ['emit {"event":{"before":true}}'],
    ends: 'ended',
    message: 'asked to stop',
  },
  'v2-now/12-respond.mjs': {
    event: { id: 9 },
    returned: 'answered',
    response: { status: 201, headers: {}, body: { id: 9 } },
  },
  'v2-now/13-compiled.js': { event: { a: { b: 1 } }, returned: true },
  'v2-now/14-top-level-await.mjs': { returned: 2 },
  'v2-now/15-destructured-send.mjs': {
    sends: ['http PATCH /hook text', 'emit {"event":{"done":true}}'],
  },
}
