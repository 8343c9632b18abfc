/* The arguments of the destinations. */

import type { RetryOptions } from '../index'

/** The `URL` of the runtime, where its types are loaded (`@types/node`, or the library `dom`). */
type URL = typeof globalThis extends { URL: { prototype: infer Type } } ? Type : never

/** Content of a call: text, or any object. */
export type Content = string | object

/** The argument of `$send.http()`. */
export interface HttpConfig {
  /** The method. Default: `POST` when there is `data`, otherwise `GET`. */
  method?: string
  /** An absolute `http:` or `https:` URL. User-info in it becomes basic auth. */
  url: string | URL
  /**
   * The body. Objects and arrays are sent as JSON, text as it is, a `Buffer` or typed array as
   * bytes, a `URLSearchParams` as a form, a `FormData` as multipart, a `Blob` with its type.
   * Default: no body.
   */
  data?: Content
  /** Request headers. Default: those of axios. */
  headers?: object
  /** Query parameters, merged with those of the URL. Default: none. */
  params?: object
  /** Basic auth; it replaces an `Authorization` header. Default: none. */
  auth?: { username: string; password: string }
  /** Deadline of the whole request in milliseconds, from 1 to 300,000. Default: `http.timeoutMs`. */
  timeout?: number
  /** Redirects to follow; 0 follows none. Default: `http.maxRedirects`. */
  maxRedirects?: number
  /**
   * Retries: `false` for none, a number of attempts in total, or the members of `http.retry` that
   * differ. Default: `http.retry`.
   */
  retry?: false | number | Omit<RetryOptions, 'hosts'>
}

/** One address, perhaps with a name. */
export type EmailAddress =
  string | { name?: string; address: string } | { name?: string; email: string }

/**
 * Email addresses: text in any usual form (commas or semicolons, names, quotes, comments, groups), an
 * object, or a list of these. An entry without an address leaves a warning.
 */
export type EmailAddresses = EmailAddress | Array<EmailAddress | null | undefined>

/** An attachment of a mail. One that cannot be attached leaves a warning. */
export type EmailAttachment = EmailAttachmentContent & {
  /** The file name. Default: that of `path`, otherwise `attachment-1` and so on. */
  filename?: string
  /** The media type, or the extension of such files. Default: guessed from the name. */
  contentType?: string
  /** The encoding of text. Base64 may be without padding or in lines. Default: `'utf8'`. */
  encoding?: 'ascii' | 'base64' | 'base64url' | 'binary' | 'hex' | 'latin1' | 'utf16le' | 'utf8'
  /** Content ID, by which `html` refers to it: `<img src="cid:…">`. Default: none, it is an attachment. */
  cid?: string
}

/** The bytes of an attachment. */
export type EmailAttachmentContent =
  | {
      /** The content: bytes, text in `encoding`, or a `data:` URL in base64. */
      content: string | Uint8Array | ArrayBuffer
      path?: undefined
    }
  | {
      /** A file in `email.attachmentFolder`, or a `data:` URL. */
      path: string
      content?: undefined
    }

/**
 * The argument of `$send.email()`. Without recipients the mail goes to the owner, `email.to` of the
 * engine. Other recipients must be allowed by `email.allowRecipients`.
 */
export interface EmailConfig {
  /** The subject. Default: none. */
  subject?: string
  /** The plain text. Default: none. */
  text?: string
  /** The HTML text. Default: none. */
  html?: string
  /** Also send it to the collaborators. Default: `false`. */
  include_collaborators?: boolean
  /** Recipients instead of the owner. Default: the owner. */
  to?: EmailAddresses
  /** Recipients of a copy. Default: none. */
  cc?: EmailAddresses
  /** Recipients of a blind copy. Default: none. */
  bcc?: EmailAddresses
  /** Addresses for replies. Default: the sender. */
  replyTo?: EmailAddresses
  /** The name of the sender; its address is the engine's. Default: the engine's. */
  from?: string | { name?: string; address?: string }
  /** Attachments, or one. Default: none. */
  attachments?: EmailAttachment | Array<EmailAttachment>
  /** The `Message-ID` of the mail that this one replies to. Default: none. */
  inReplyTo?: string
  /** The ids of the thread, in a text or a list. Default: none. */
  references?: string | Array<string>
  /**
   * Headers that begin with `List-`, such as `List-Unsubscribe`, and those that `email.allowHeaders`
   * allows. Default: none.
   */
  headers?: Record<string, string>
}

/**
 * The argument of `$send.s3()`. Records of one bucket and prefix are stored together, once a minute
 * by default, as the lines of one compressed object
 * `PREFIX` + `YYYY/MM/DD/HH/YYYY-MM-DD-HH-MM-SS-IDENTIFIER.gz` (UTC).
 */
export interface S3Config {
  /** The bucket. */
  bucket: string
  /**
   * Prefix of the objects' keys; end it with `/` for a folder. At most 919 bytes, without `..`, control
   * characters, or a leading `/`. Default: none.
   */
  prefix?: string
  /**
   * One record, stored as one line: an object as JSON, a text as it is. An empty text, or one with line
   * breaks, is stored as a JSON string; bytes as base64 text.
   */
  payload: Content
}

/** The argument of `$send.sql()`. */
export interface SqlConfig {
  /** The table: letters, digits and `_`, not beginning with `_`. Case does not matter. */
  table: string
  /** One row: an object whose keys are the columns. Anything else fails the delivery. */
  payload: Content
}

/** The argument of `$send.sse()`. */
export interface SseConfig {
  /**
   * The name of the event (`source.addEventListener(channel, …)`). Line breaks and NULs become spaces; an
   * empty one means `message`.
   */
  channel: string
  /** The data of the event: its JSON text. Bytes become base64 text. */
  payload: Content
}
