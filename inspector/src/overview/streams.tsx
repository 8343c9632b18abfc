// The streams of workflows and their followers.

import { number, plural, visible } from '../format.ts'
import { href } from '../route.ts'
import { quoted } from '../search/language.ts'
import type { Stream } from './figures.ts'

export function Streams({ streams }: { streams: Stream[] }) {
  if (streams.length === 0) return null
  return (
    <section class="card">
      <h2>Streams</h2>
      <table class="figures">
        <thead>
          <tr>
            {['Workflow', 'Followers', 'Kept events'].map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {streams.map(({ workflowId, followers, kept }) => (
            <tr key={workflowId}>
              <th scope="row">
                <a data-go href={href({ q: `workflow:${quoted(workflowId)}` })}>
                  <bdi>{visible(workflowId)}</bdi>
                </a>
              </th>
              <td title={plural(followers, 'client follows', 'clients follow')}>
                {number(followers)}
              </td>
              <td>{number(kept)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
