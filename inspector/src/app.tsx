// The frame of the page: its bar, and the screen that the address names.

import { useEffect, useState } from 'preact/hooks'

import { Dialogs } from './act/dialog.tsx'
import { QuestionDialog } from './act/question.tsx'
import { ReplayLines } from './act/replay.tsx'
import { isOnline, isSignedOut, sentenceOf } from './api.ts'
import { CallList } from './call/list.tsx'
import { isHelpOpen } from './keys.ts'
import { OverviewScreen } from './overview/overview.tsx'
import { follow, href, place, type Screen } from './route.ts'
import { RunView } from './runs/run.tsx'
import { RunList } from './runs/list.tsx'
import { SearchBox } from './search/box.tsx'
import { connect, mayTry, session, signOut } from './session.ts'
import { Help } from './shell/help.tsx'
import { SignIn } from './shell/sign-in.tsx'
import { TryScreen } from './try/try.tsx'

export function App() {
  const [problem, setProblem] = useState<string | undefined>(undefined)
  useEffect(() => {
    connect().catch((error: unknown) => setProblem(sentenceOf(error)))
  }, [])
  if (isSignedOut.value) return <SignIn />
  if (problem !== undefined) return <p class="notice bad">{problem}</p>
  if (!session.value) return <div class="loading" aria-busy="true" />
  return (
    <div class="app" onClick={follow}>
      <Bar />
      {!isOnline.value && (
        <p class="notice warn" role="status">
          The server does not respond. The page goes on as soon as it is back.
        </p>
      )}
      <ReplayLines />
      <View />
      <Dialogs />
      <QuestionDialog />
      <Help />
    </div>
  )
}

function View() {
  const { screen, run } = place.value
  if (run !== '') return <RunView key={run} />
  if (screen === 'overview') return <OverviewScreen />
  if (screen === 'try' && mayTry()) return <TryScreen />
  return screen === 'calls' ? <CallList /> : <RunList />
}

const LINKS: [Screen, string][] = [
  ['runs', 'Runs'],
  ['calls', 'Calls'],
  ['overview', 'Overview'],
  ['try', 'Try'],
]

function Bar() {
  const { screen, q } = place.value
  return (
    <header class="top">
      <a class="brand" data-go href={href({})} aria-label="dollar-send Inspector: all runs">
        <span aria-hidden="true">$</span>
        <b>Inspector</b>
      </a>
      <nav aria-label="Screens">
        {LINKS.filter(([name]) => name !== 'try' || mayTry()).map(([name, word]) => (
          <a
            key={name}
            data-go
            href={href({ screen: name, q: name === 'overview' || name === 'try' ? '' : q })}
            aria-current={screen === name ? 'page' : undefined}
          >
            {word}
          </a>
        ))}
      </nav>
      <SearchBox />
      <button
        type="button"
        class="plain"
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)"
        onClick={() => (isHelpOpen.value = true)}
      >
        ?
      </button>
      {session.value?.required && (
        <button type="button" class="plain" onClick={() => void signOut()}>
          Sign out
        </button>
      )}
    </header>
  )
}
