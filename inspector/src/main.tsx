import { render } from 'preact'

import { App } from './app.tsx'
import { listenForKeys } from './keys.ts'
import { askEarly } from './list/page.ts'

askEarly()
listenForKeys()
render(<App />, document.body)
