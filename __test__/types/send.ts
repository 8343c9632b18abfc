// Compiled, never run: the arguments of `$send`.

import type { Send, Step } from 'dollar-send'

class Row {
  constructor(readonly id: number) {}
}

interface Named {
  name: string
}

export function accepted({ $send, $ }: Step, named: Named): void {
  const { http, email, s3, sql, sse, emit } = $send
  const nothing: void = http({ method: 'POST', url: 'https://example.com/', data: { a: 1 } })
  void nothing
  http({ url: new URL('https://example.com/') })
  http({ url: 'x', retry: false })
  http({ url: 'x', retry: 3 })
  http({ url: 'x', retry: { scheduleMs: [1000], statuses: [500] } })
  // @ts-expect-error hosts are the engine's
  http({ url: 'x', retry: { hosts: {} } })
  http({ url: 'x', data: 'text' })
  http({ url: 'x', data: [1, 'two', null] })
  http({ url: 'x', data: named })
  http({ url: 'x', data: new Row(1) })
  http({ url: 'x', data: new Map([['a', 1]]) })
  http({ url: 'x', data: new Date() })
  http({ url: 'x', data: Buffer.from('x') })
  http({ url: 'x', data: new Uint8Array(1) })
  http({ url: 'x', data: new ArrayBuffer(1) })
  http({ url: 'x', data: new URLSearchParams('a=1') })
  http({ url: 'x', data: new FormData() })
  http({ url: 'x', data: new Blob(['x']) })
  http({ url: 'x', headers: { 'x-a': 'b' }, params: { a: [1, 2] } })
  http({ url: 'x', headers: new Headers(), params: new URLSearchParams() })
  http({ url: 'x', auth: { username: 'u', password: 'p' }, timeout: 100 })
  email({ subject: 's', text: 't', html: '<p>', include_collaborators: true })
  email({})
  s3({ bucket: 'b', prefix: 'p/', payload: { a: 1 } })
  s3({ bucket: 'b', payload: 'line' })
  sql({ table: 't', payload: { a: 1 } })
  sql({ table: 't', payload: named })
  sse({ channel: 'c', payload: [1] })
  emit({ raw_event: { a: 1 } })
  emit({ a: 1 })
  emit(named, 'channel')
  emit(new Row(1), { name: 'channel' })
  $.send.http({ url: 'x' })
  const held: { send: Send } = { ...$ }
  held.send.email({})
}

export function refused({ $send, $ }: Step): void {
  // @ts-expect-error the url is required
  $send.http({ method: 'POST' })
  // @ts-expect-error the argument is required
  $send.http()
  // @ts-expect-error a url is text or a URL
  $send.http({ url: 5 })
  // @ts-expect-error data is text or an object
  $send.http({ url: 'x', data: 5 })
  // @ts-expect-error data is text or an object
  $send.http({ url: 'x', data: true })
  // @ts-expect-error data is text or an object
  $send.http({ url: 'x', data: null })
  // @ts-expect-error data is text or an object
  $send.http({ url: 'x', data: 1n })
  // @ts-expect-error headers are an object
  $send.http({ url: 'x', headers: 'x-a: b' })
  // @ts-expect-error a user name needs a password
  $send.http({ url: 'x', auth: { username: 'u' } })
  // @ts-expect-error a key that would be ignored
  $send.http({ url: 'x', body: 'x' })
  // @ts-expect-error a number is wanted
  $send.http({ url: 'x', timeout: '5' })
  // @ts-expect-error text is wanted
  $send.email({ subject: 5 })
  // @ts-expect-error a boolean is wanted
  $send.email({ include_collaborators: 'yes' })
  // @ts-expect-error an attachment has content
  $send.email({ attachments: [{ filename: 'x' }] })
  $send.email({ to: ['x@example.com', { name: 'Y', address: 'y@example.com' }, null] })
  $send.email({
    cc: { email: 'z@example.com' },
    from: { name: 'Z' },
    inReplyTo: 'a@b',
    references: ['a@b'],
  })
  $send.email({ attachments: { path: 'a.txt', contentType: 'pdf' } })
  $send.email({ attachments: [{ content: '00', encoding: 'hex' }] })
  // @ts-expect-error the payload is required
  $send.s3({ bucket: 'b' })
  // @ts-expect-error the bucket is required
  $send.s3({ payload: {} })
  // @ts-expect-error the payload is text or an object
  $send.sql({ table: 't', payload: 5 })
  // @ts-expect-error the channel is required
  $send.sse({ payload: {} })
  // @ts-expect-error an event is an object
  $send.emit('text')
  // @ts-expect-error there is no such destination
  $send.slack({ text: 'x' })
  // @ts-expect-error `$` is the runner's to extend, by spreading it
  $.send = $send
}
