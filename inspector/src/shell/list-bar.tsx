// The line above a list: its title, how much it has, and what can be done with all of it.

import type { ComponentChildren } from 'preact'

import { plural } from '../format.ts'
import { LiveButton } from './live-button.tsx'

interface Properties {
  title: string
  total: number | undefined
  noun: string
  children?: ComponentChildren
}

export function ListBar({ title, total, noun, children }: Properties) {
  return (
    <>
      <div class="bar">
        <h1>{title}</h1>
        <span class="quiet">{total === undefined ? '' : plural(total, noun)}</span>
        <span class="spring" />
        {children}
        <LiveButton />
      </div>
    </>
  )
}
