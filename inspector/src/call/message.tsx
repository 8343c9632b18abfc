// A request or a response: its head, headers and body, pretty or raw.

import { useSignal } from '@preact/signals'

import { bytes, plural, visible } from '../format.ts'
import { CopyButton } from '../shell/copy.tsx'
import type { Headers, Message } from '../types.ts'
import { prettyOf, rawOf } from './body.ts'
import { Json } from './json.tsx'
import { Marked, Shown } from './shown.tsx'

interface Properties {
  title: string
  message: Message
  isHttp: boolean
}

export function MessageView({ title, message, isHttp }: Properties) {
  const isRaw = useSignal(false)
  const body = isHttp ? message.body : message
  const raw = rawOf(body)
  const pretty = isRaw.value ? undefined : prettyOf(body)
  return (
    <section class="message" aria-label={title}>
      <div class="message-head">
        <h3>{title}</h3>
        {isHttp && <HeadLine message={message} />}
        <span class="spring" />
        {raw !== '' && (
          <div class="toggle" role="group" aria-label={`Body of the ${title.toLowerCase()}`}>
            <button type="button" aria-pressed={!isRaw.value} onClick={() => (isRaw.value = false)}>
              Pretty
            </button>
            <button type="button" aria-pressed={isRaw.value} onClick={() => (isRaw.value = true)}>
              Raw
            </button>
          </div>
        )}
      </div>
      {isHttp && <HeaderTable headers={message.headers ?? {}} isCut={message.headersTruncated} />}
      {raw === '' ? (
        isHttp && <p class="quiet body-none">No body</p>
      ) : (
        <div class="body">
          <CopyButton label={`Copy the body of the ${title.toLowerCase()}`} text={() => raw} />
          <pre tabIndex={0} aria-label={`${title} body`}>
            {pretty === undefined ? <Shown text={raw} max={20_000} /> : <Json text={pretty} />}
          </pre>
          {message.truncated === true && (
            <p class="quiet">
              The log keeps the beginning{' '}
              {typeof message.bodyBytes === 'number' && `of ${bytes(message.bodyBytes)}`}.
            </p>
          )}
        </div>
      )}
    </section>
  )
}

function HeadLine({ message }: { message: Message }) {
  const { status, statusText, httpVersion } = message
  if (typeof status !== 'number') return null
  const tone = status < 300 ? 'good-text' : status < 400 ? '' : 'bad-text'
  return (
    <span>
      <b class={tone}>
        {status} {visible(statusText ?? '')}
      </b>
      <span class="quiet"> HTTP/{httpVersion}</span>
    </span>
  )
}

function HeaderTable({ headers, isCut }: { headers: Headers; isCut: boolean | undefined }) {
  const lines = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name, value]),
  )
  if (lines.length === 0) return null
  return (
    <details class="headers" open={lines.length <= 8}>
      <summary>
        {isCut === true && 'The first '}
        {plural(lines.length, 'header')}
      </summary>
      <table>
        <tbody>
          {lines.map(([name, value], index) => (
            <tr key={index}>
              <th scope="row">{visible(name)}</th>
              <td>
                <bdi>
                  <Marked text={value} />
                </bdi>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {isCut === true && <p class="quiet">The log keeps the beginning of the headers.</p>}
    </details>
  )
}
