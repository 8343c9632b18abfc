// The line above a list: its title, how much it has, and what can be done with all of it.

import type { ComponentChildren } from 'preact'

import { type Total, totalText } from '../list/page.ts'
import { LiveButton } from './live-button.tsx'

interface Properties {
  title: string
  total: Total | undefined
  noun: string
  children?: ComponentChildren
}

export function ListBar({ title, total, noun, children }: Properties) {
  return (
    <>
      <div class="bar">
        <h1>{title}</h1>
        <span class="quiet">{totalText(total, noun)}</span>
        <span class="spring" />
        {children}
        <LiveButton />
      </div>
    </>
  )
}
