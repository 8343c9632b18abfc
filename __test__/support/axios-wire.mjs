// The configurations that must look the same on the wire through axios and through $send.http.
//
// Every case is `{ name, config, differs? }`. `config` holds plain JavaScript values whose URLs point
// to the host `wire.test`: `at(config, '127.0.0.1:8080')` points them to a server. `differs` is there
// when the difference is intended and documented in docs/destinations/axios-differences.md: it overrides what is
// expected of $send (`method`, `target`, `headers`, `body`), or names the `error` code it fails with.
// `error: true` in a recorded answer means that axios itself refused to send.

export const HOST = 'wire.test'
const url = `http://${HOST}/hook`

/** The same configuration with its URL pointing to `host` (`name:port`). */
export function at(config, host) {
  return typeof config.url === 'string'
    ? { ...config, url: config.url.replace(HOST, host) }
    : config
}

const post = (name, rest, differs) => ({ name, config: { method: 'POST', url, ...rest }, differs })
const get = (name, rest, differs) => ({ name, config: { method: 'GET', url, ...rest }, differs })
const json = { 'Content-Type': 'application/json' }
const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
const multipart = { 'Content-Type': 'multipart/form-data' }
const invalidHeader = { error: 'ERR_SEND_INVALID_HEADER' }
const invalidUrl = { error: 'ERR_SEND_INVALID_URL' }
const invalidArgument = { error: 'ERR_SEND_INVALID_ARGUMENT' }
const nest = (levels, leaf = 1) => {
  let value = leaf
  for (let level = 0; level < levels; level++) value = { a: value }
  return value
}

const documents = [
  post('the example of the documents', { data: { name: 'Luke Skywalker' } }),
  post('a chat message', {
    headers: { Authorization: 'Bearer xoxb-1', 'Content-Type': 'application/json; charset=utf-8' },
    data: { channel: '#general', text: 'deployed 🚀', blocks: [{ type: 'section', text: null }] },
  }),
]

const methods = [
  ...[
    'GET',
    'HEAD',
    'OPTIONS',
    'DELETE',
    'POST',
    'PUT',
    'PATCH',
    'PURGE',
    'LINK',
    'UNLINK',
  ].flatMap((method) => [
    { name: `${method} without data`, config: { method, url } },
    { name: `${method} with an object`, config: { method, url, data: { a: 1 } } },
    { name: `${method} with a string`, config: { method, url, data: 'a=1' } },
  ]),
  { name: 'a lower-case method', config: { method: 'put', url, data: { a: 1 } } },
  { name: 'a mixed-case method', config: { method: 'PaTch', url, data: 'x' } },
  { name: 'a missing method without data', config: { url } },
  {
    name: 'a missing method with data',
    config: { url, data: { a: 1 } },
    differs: { method: 'POST' },
  },
  { name: 'an empty method', config: { method: '', url } },
  { name: 'a method that is no token', config: { method: 'G ET', url } },
]

const strings = [
  post('a string', { data: 'hello' }),
  post('an empty string', { data: '' }),
  { name: 'an empty string with GET', config: { method: 'GET', url, data: '' } },
  post('a string that looks like JSON', { data: '{"a":1}' }),
  post('a string beyond ASCII', { data: 'žluťoučký 🐴 \u0000\u001f' }),
  post('a string with quotes and escapes', { data: '"\\ \n\r\t\b\f/' }),
  post('a lone surrogate in a string', { data: 'a\ud800b\udc00\ud83d\ude00' }),
  post('XML with its own type', { data: '<a/>', headers: { 'Content-Type': 'text/xml' } }),
  post('a JSON string with the type JSON', { data: ' {"a": 1}\n', headers: json }),
  post('a JSON string with escapes and the type JSON', {
    data: '\n["\\u00e9", "é"]\t',
    headers: json,
  }),
  post('a string that is no JSON with the type JSON', { data: 'it is "me" é\n', headers: json }),
  post('a lone surrogate with the type JSON', { data: 'x\ud800', headers: json }),
  post('an empty string with the type JSON', { data: '', headers: json }),
  post('a number in a string with the type JSON', { data: ' 1e999 ', headers: json }),
  post('a word in a string with the type JSON', { data: 'True', headers: json }),
  post('JSON with a byte order mark and the type JSON', { data: '\ufeff{}', headers: json }),
  post('JSON with a vertical tab and the type JSON', { data: '\v{}', headers: json }),
  post('deep JSON in a string with the type JSON', {
    data: '['.repeat(300) + ']'.repeat(300),
    headers: json,
  }),
  post('a string with a type that only contains JSON', {
    data: 'x',
    headers: { 'Content-Type': 'text/application/json' },
  }),
  post('a string with the type in capitals', {
    data: 'x',
    headers: { 'Content-Type': 'Application/JSON' },
  }),
  post('a string with a vendor type', {
    data: 'x',
    headers: { 'Content-Type': 'application/vnd.api+json' },
  }),
  post('a string with the type of forms', { data: 'a=1&b=é', headers: form }),
  post('a string with the type of multipart', { data: 'x', headers: multipart }),
  get('no data with the type JSON', { headers: json }),
  post('no data with the type JSON', { headers: json }),
  post('no data with the type of forms', { headers: form }),
]

const objects = [
  post('an empty object', { data: {} }),
  post('an empty array', { data: [] }),
  post('an array', { data: [1, 'a', null, { b: true }] }),
  post('every kind of value', {
    data: {
      n: -1.5,
      z: -0,
      big: 1e21,
      tiny: 5e-7,
      t: true,
      f: false,
      nil: null,
      u: undefined,
      s: 'é\u2028\ud800',
      l: [undefined, NaN],
    },
  }),
  post('a date in an object', { data: { at: new Date(0) } }),
  post('integer keys come first', { data: { b: 1, 2: 2, 1: 1 } }),
  post('a deep object', { data: nest(300) }),
  post('an object with the type text', {
    data: { a: 1 },
    headers: { 'Content-Type': 'text/plain' },
  }),
  post('an object with the type turned off', { data: { a: 1 }, headers: { 'Content-Type': null } }),
  post('an object with the type false', { data: { a: 1 }, headers: { 'content-type': false } }),
  post('an object with an empty type', { data: { a: 1 }, headers: { 'Content-Type': '' } }),
  post('an object with a type in an array', {
    data: { a: 1 },
    headers: { 'Content-Type': ['application/json'] },
  }),
  post('a string without a type', { data: 'a', headers: { 'Content-Type': false } }),
  post('no data and no type', { headers: { 'Content-Type': null } }),
  post(
    'names of prototypes in an object',
    { data: { constructor: 1, prototype: 2, a: 3 } },
    {
      body: '{"constructor":1,"prototype":2,"a":3}',
      headers: { 'content-length': ['37'] },
    },
  ),
]

const formValues = {
  scalars: { a: 1, b: 'x y', c: true, d: null, e: undefined, f: '' },
  escapes: { 'a b': "~!'()*-._ é+&=#%/?:@$,;", '🐴': '\n\r\t' },
  'a flat array': { a: [1, 'two', null, false] },
  'an empty array and object': { a: [], b: {}, c: 1 },
  'an array of objects': { a: [{ b: 1 }, { b: 2, c: [3] }] },
  'an array of arrays': { a: [[1, 2], [3]], b: [1, [2]] },
  'nested objects': { a: { b: { c: 1, d: null }, e: [1, 2] } },
  'names with brackets': { 'a[]': 1, 'b[]': [1, 2], 'c[]': { d: 1 }, 'e[f]': 2 },
  'names with brackets inside': { a: { 'b[]': [1], 'c[]': 2 } },
  'names that ask for JSON': {
    'a{}': { b: [1, { c: null }] },
    'd{}': [1, 2],
    'e{}': 1,
    f: { 'g{}': { h: 1 } },
  },
  'names with white space': { ' a ': 1, ' b ': { ' c ': 2, ' d ': { e: 3 } }, 'd\ufeff': 3 },
  'a date': { at: new Date(1e12), in: [new Date(0)], deep: { at: new Date(0) } },
  numbers: { a: -0, b: 1e21, c: 5e-7, d: 0.1 },
  'an array at the top': [1, { a: 2 }, [3, 4], null],
  '100 levels': { x: nest(100) },
  'too many levels': { x: nest(101) },
  'an empty object': {},
  'an empty name': { '': 1, a: { '': 2 } },
}
const forms = Object.entries(formValues).flatMap(([name, data]) => [
  post(`a form of ${name}`, { data, headers: form }),
  post(`a multipart form of ${name}`, { data, headers: multipart }),
])
forms.push(
  post('a form with a charset', {
    data: { a: 1 },
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
  }),
  post('a form in capitals is JSON', {
    data: { a: 1 },
    headers: { 'Content-Type': 'Application/X-WWW-Form-Urlencoded' },
  }),
  post('a multipart form with a boundary of its own', {
    data: { a: 1 },
    headers: { 'Content-Type': 'multipart/form-data; boundary=abc' },
  }),
  post('a multipart form with odd names', {
    data: { 'a"b\r\nc': 'x\r\ny', 'é\\': 'ž' },
    headers: multipart,
  }),
  { name: 'a form with GET', config: { method: 'GET', url, data: { a: [1] }, headers: form } },
  post('objects in a list of a form', {
    data: { 'a[]': [{ b: 1 }, [1, null, [2]], null] },
    headers: form,
  }),
  post('a lone surrogate in a form', { data: { 'a\ud800': '\udc00' }, headers: form }),
)

const params = Object.entries(formValues).map(([name, value]) =>
  get(`params of ${name}`, { params: value }),
)
for (const entry of params) {
  // The query of a URL writes an apostrophe as %27.
  if (entry.name === 'params of escapes') {
    entry.differs = {
      target: '/hook?a+b=~!%27()*-._+%C3%A9%2B%26%3D%23%25%2F%3F:%40$,%3B&%F0%9F%90%B4=%0A%0D%09',
    }
  }
}
params.push(
  get('params after a query', { url: `${url}?x=1`, params: { a: 1 } }),
  get('params after an empty query', { url: `${url}?`, params: { a: 1 } }),
  get('params after an open query', { url: `${url}?x&`, params: { a: 1 } }),
  get('params before a fragment', { url: `${url}#frag?x`, params: { a: 1 } }),
  get('params with the same name as the query', { url: `${url}?a=0`, params: { a: 1 } }),
  get('empty params after a query', { url: `${url}?x=1`, params: {} }),
  get('params of nothing but null', { params: { a: null, b: undefined } }),
  get('params of URLSearchParams', {
    params: new URLSearchParams([
      ['a', '1'],
      ['a', "é '~*"],
      ['b c', ''],
    ]),
  }),
  get('params of empty URLSearchParams', { params: new URLSearchParams() }),
  get('params that are null', { params: null }),
  get('objects in a list of params', { params: { 'a[]': [{ b: 1 }, [1, null]] } }),
  get(
    'a lone surrogate in params',
    { params: { a: '\ud800' } },
    {
      method: 'GET',
      target: '/hook?a=%EF%BF%BD',
      headers: { accept: ['application/json, text/plain, */*'], 'user-agent': ['{agent}'] },
      body: '',
    },
  ),
  post('params beside data', { params: { a: [1, 2] }, data: { b: 3 } }),
)

const urls = [
  ['without a path', `http://${HOST}`],
  ['with capitals and dots', `HTTP://${HOST}/a/../b/./c`],
  ['with spaces', ` http://${HOST}/a b?c d `],
  ['beyond ASCII', `http://${HOST}/é/🐴?é=🐴`],
  ['with escapes', `http://${HOST}/%7Ea%zz/%2F?%7E%zz`],
  [
    'with odd characters',
    `http://${HOST}/a|b^c\`d{e}"f'g<h>\\i[j];k@l?m|n^o\`p{q}"r's<t>\\u[v];w@x`,
  ],
  ['with a fragment', `http://${HOST}/a#b?c`],
  ['with an empty query', `http://${HOST}/a?#`],
  ['with tabs and line breaks', `ht\ttp://${HOST}/a\r\nb`],
  ['with a lone surrogate', `http://${HOST}/\ud800?\udc00`],
  ['with template braces', `http://${HOST}/{{steps.id}}?x={{y}}`],
].map(([name, url]) => get(`a URL ${name}`, { url }))
urls.push(
  get('a relative URL', { url: '/hook' }, invalidUrl),
  get('a URL without a scheme', { url: `${HOST}/hook` }, invalidUrl),
  get('an empty URL', { url: '' }, invalidUrl),
  get('a URL without slashes', { url: `http:${HOST}/hook` }, invalidUrl),
  get('a URL with one slash', { url: `http:/${HOST}/hook` }, invalidUrl),
  get('a URL with backslashes', { url: `http:\\\\${HOST}/hook` }, invalidUrl),
  get('a URL with a bad port', { url: 'http://127.0.0.1:99999/' }, invalidUrl),
  get('a URL of another scheme', { url: `ftp://${HOST}/` }, invalidUrl),
)

const header = (name, headers, differs) => get(name, { headers }, differs)
const headers = [
  header('own headers', { 'X-A': 'a', 'x-b': 'B  b' }),
  header('numbers and booleans', { 'X-N': 1, 'X-Z': 0, 'X-F': 1.5e21, 'X-T': true }),
  header('headers turned off', { 'X-A': null, 'X-B': false, 'X-C': undefined, 'X-D': '' }),
  header('white space around names and values', { ' X-A ': ' \ta\t ', 'X-B': ' ' }),
  header('an empty name', { '': 'a', ' ': 'b' }),
  header('names that differ in case', { 'X-A': '1', 'x-a': '2' }),
  header('a name turned off again', { 'X-A': '1', 'x-a': null }),
  header('an array', { 'X-A': ['1', 2, true], 'X-B': [], 'X-C': ['one'] }),
  header('null in an array', { 'X-A': ['1', null, false] }),
  header('an array in an array', { 'X-A': ['1', ['2', 3]] }),
  header('an object as a value', { 'X-A': { b: 1 } }),
  header('cookies', { Cookie: 'a=1; b=2' }),
  header('cookies in an array', { Cookie: ['a=1', 'b=2'] }),
  header('ISO 8859-1', { 'X-A': 'café ÿ\u0080' }),
  header('a tab inside', { 'X-A': 'a\tb' }),
  header('Accept of its own', { Accept: 'text/csv' }),
  header('Accept in lower case', { accept: '*/*' }),
  header('Accept turned off', { Accept: null }),
  header('Accept false', { Accept: false }),
  header('Accept as an empty array', { Accept: [] }),
  header('User-Agent of its own', { 'User-Agent': 'me/1' }),
  header('User-Agent in lower case', { 'user-agent': 'me/2' }),
  header('User-Agent turned off', { 'User-Agent': false }),
  header('User-Agent null', { 'user-agent': null }),
  header('the type in lower case', { 'content-type': 'text/plain' }),
  header('headers that are null', null, {
    headers: { accept: ['application/json, text/plain, */*'], 'user-agent': ['{agent}'] },
  }),
  header('empty headers', {}),
  header('headers as pairs', [
    ['X-A', '1'],
    ['Accept', 'a/b'],
    ['X-B', 'x'],
    ['X-B', ['y', 'z']],
  ]),
  header('headers as pairs that differ in case', [
    ['X-A', '1'],
    ['x-a', '2'],
    ['Accept', 'a/b'],
  ]),
  header('headers as pairs without Accept', [['X-A', '1']], {
    headers: {
      accept: ['application/json, text/plain, */*'],
      'user-agent': ['{agent}'],
      'x-a': ['1'],
    },
  }),
  header('headers as a list of text', ['X-A: 1'], invalidArgument),
  header('headers for every method', { common: { 'X-A': '1', 'X-B': '1' }, 'X-B': '2' }),
  header('headers for this method', {
    common: { 'X-A': '1' },
    get: { 'X-A': '2' },
    post: { 'X-A': '3' },
  }),
  header('a header named like a method', { Link: '<a>; rel=b', link: '<c>' }),
  header('a name that is no token', { 'X A': '1' }, invalidHeader),
  header('a name beyond ASCII', { 'X-é': '1' }, invalidHeader),
  header('a name with a colon', { 'X-A:': '1' }, invalidHeader),
  header('a line break in a value', { 'X-A': 'a\r\nX-B: b' }, invalidHeader),
  header('a line break at the end of a value', { Authorization: 'Bearer abc\n' }, invalidHeader),
  header('NUL in a value', { 'X-A': 'a\u0000' }, invalidHeader),
  header('a control character in a value', { 'X-A': 'a\u0007' }, invalidHeader),
  header('a character beyond ISO 8859-1', { 'X-A': 'ž' }, invalidHeader),
  header('a line break in an array', { 'X-A': ['a', 'b\nc'] }, invalidHeader),
  header('Transfer-Encoding', { 'Transfer-Encoding': 'chunked' }, invalidHeader),
  header('Connection: Upgrade', { Connection: 'Upgrade' }, invalidHeader),
  header('a Host that differs', { Host: 'other.example' }, invalidHeader),
  header('Proxy-Authorization', { 'Proxy-Authorization': 'Basic eA==' }, invalidHeader),
  header('Connection: keep-alive', { Connection: 'keep-alive', 'X-A': '1' }),
  header('hop-by-hop headers turned off', {
    Connection: null,
    Upgrade: false,
    'Transfer-Encoding': null,
  }),
  post('a Content-Length that is right', { data: 'abc', headers: { 'Content-Length': '3' } }),
  post('a Content-Length that is a number', { data: { a: 1 }, headers: { 'content-length': 7 } }),
  header('a long value', { 'X-A': 'a'.repeat(6000) }),
  header(
    'many headers',
    Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`X-${i}`, String(i)])),
  ),
]

const auth = [
  get('basic authentication', { auth: { username: 'u', password: 'p' } }),
  get('authentication beyond ASCII', { auth: { username: 'ž', password: 'pá:ss' } }),
  get('authentication with empty fields', { auth: { username: '', password: '' } }),
  get('authentication with a number', { auth: { username: 1, password: 0 } }),
  get('authentication replaces the header', {
    auth: { username: 'u', password: 'p' },
    headers: { authorization: 'Bearer x' },
  }),
  get('authentication replaces a header turned off', {
    auth: { username: 'u', password: 'p' },
    headers: { Authorization: false },
  }),
  get('user-info', { url: `http://user:pa%40ss@${HOST}/hook` }),
  get('user-info without a password', { url: `http://user@${HOST}/hook` }),
  get('user-info without a name', { url: `http://:secret@${HOST}/hook` }),
  get('user-info with bad escapes', { url: `http://a%zz:b%ff@${HOST}/hook` }),
  get('user-info replaces the header', {
    url: `http://u:p@${HOST}/hook`,
    headers: { Authorization: 'Bearer x' },
  }),
  get('authentication replaces user-info', {
    url: `http://u:p@${HOST}/hook`,
    auth: { username: 'a', password: 'b' },
  }),
  get('no authentication', { auth: null, headers: { Authorization: 'Bearer x' } }),
]

const text = (value) => new TextEncoder().encode(value)
const binaries = [
  post('a Buffer', { data: Buffer.from([0, 255, 1]) }),
  post('a Buffer with a type', {
    data: Buffer.from('x'),
    headers: { 'Content-Type': 'image/png' },
  }),
  post('a Buffer with the type JSON', { data: Buffer.from(' {} '), headers: json }),
  post('an empty Buffer', { data: Buffer.alloc(0) }),
  get('a Buffer with GET', { data: Buffer.from('x') }),
  post('a Uint8Array', { data: text('é') }),
  post('an ArrayBuffer', { data: text('abc').buffer }),
  post('URLSearchParams', {
    data: new URLSearchParams([
      ['a', '1'],
      ['b c', "é'~"],
    ]),
  }),
  post('empty URLSearchParams', { data: new URLSearchParams() }),
  post('URLSearchParams with a type', {
    data: new URLSearchParams({ a: 1 }),
    headers: { 'content-type': 'text/x' },
  }),
  get('URLSearchParams with GET', { data: new URLSearchParams({ a: 1 }) }),
  post('a Blob', { data: new Blob(['abc'], { type: 'text/csv' }) }),
  post('a Blob without a type', { data: new Blob(['abc']) }),
  post(
    'a Blob with a type of the header',
    { data: new Blob(['abc'], { type: 'text/csv' }), headers: { 'Content-Type': 'text/x' } },
    {
      headers: {
        accept: ['application/json, text/plain, */*'],
        'content-length': ['3'],
        'content-type': ['text/x'],
        'user-agent': ['{agent}'],
      },
    },
  ),
  post('an empty Blob', { data: new Blob([]) }),
]

/** All cases, in groups; names are unique. */
export const cases = [
  ...documents,
  ...methods,
  ...strings,
  ...objects,
  ...forms,
  ...params,
  ...urls,
  ...headers,
  ...auth,
  ...binaries,
].map(({ differs, ...entry }) => (differs ? { ...entry, differs } : entry))
