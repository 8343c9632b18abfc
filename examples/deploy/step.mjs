import { $send } from 'dollar-send/global'

/** A v1 code step: reports the event to the URL in `REPORT_URL`. */
export default async (event) => {
  $send.http({ method: 'POST', url: process.env.REPORT_URL, data: event })
}
