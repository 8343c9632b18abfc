// The search box, with suggestions for names and values.

import { useEffect, useRef, useState } from 'preact/hooks'

import { go, place } from '../route.ts'
import { suggest, type Suggestion } from './language.ts'

export function SearchBox() {
  const box = useSearch()
  const { text, offers, chosen } = box
  const chosenId = chosen >= 0 && offers[chosen] ? `offer-${chosen}` : undefined
  return (
    <div class="search" role="search">
      <SearchIcon />
      <input
        ref={box.input}
        data-search
        type="text"
        spellcheck={false}
        autocomplete="off"
        placeholder="Search: status:failed host:api.example.com since:2h"
        aria-label="Search"
        role="combobox"
        aria-expanded={offers.length > 0}
        aria-controls="offers"
        aria-autocomplete="list"
        aria-activedescendant={chosenId}
        value={text}
        onInput={(event) => box.typed(event.currentTarget.value)}
        onFocus={() => box.setOpen(true)}
        onBlur={() => box.setOpen(false)}
        onKeyDown={box.pressed}
      />
      {text === '' ? (
        <kbd aria-hidden="true">/</kbd>
      ) : (
        <button type="button" class="plain" aria-label="Clear the search" onClick={box.clear}>
          ×
        </button>
      )}
      <Offers offers={offers} chosen={chosen} take={box.take} />
    </div>
  )
}

/** The state of the box, and what keys do in it. */
function useSearch() {
  const { q, screen } = place.value
  const isRuns = screen !== 'calls'
  const input = useRef<HTMLInputElement>(null)
  const [text, setText] = useState(q)
  const [chosen, setChosen] = useState(-1)
  const [isOpen, setOpen] = useState(false)
  useEffect(() => setText(q), [q])
  const offers = isOpen ? suggest(text, isRuns) : []
  const search = (value: string) => {
    setOpen(false)
    setText(value)
    go({ screen: isRuns ? 'runs' : 'calls', q: value.trim() })
  }
  const typed = (value: string) => {
    setText(value)
    setChosen(-1)
    setOpen(true)
  }
  const take = (offer: Suggestion) => {
    typed(offer.text)
    input.current?.focus()
  }
  const leave = () => {
    setOpen(false)
    if (offers.length > 0) return
    setText(q)
    input.current?.blur()
  }
  const move = (step: number) => {
    setChosen(((chosen + 1 + step + offers.length + 1) % (offers.length + 1)) - 1)
  }
  const pressed = (event: KeyboardEvent) => {
    const offer = offers[chosen]
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const completed = offer ?? offers[0]
    if (step !== undefined && offers.length > 0) move(step)
    else if (event.key === 'Enter' && offer) take(offer)
    else if (event.key === 'Enter') search(text)
    else if (event.key === 'Tab' && !event.shiftKey && completed && text !== '') take(completed)
    else if (event.key === 'Escape') leave()
    else return
    event.preventDefault()
  }
  return { input, text, offers, chosen, setOpen, typed, take, pressed, clear: () => search('') }
}

interface OffersProperties {
  offers: Suggestion[]
  chosen: number
  take: (offer: Suggestion) => void
}

function Offers({ offers, chosen, take }: OffersProperties) {
  return (
    <ul id="offers" role="listbox" aria-label="Suggestions" hidden={offers.length === 0}>
      {offers.map((offer, index) => (
        <li
          key={offer.label}
          id={`offer-${index}`}
          role="option"
          aria-selected={index === chosen}
          onPointerDown={(event) => {
            event.preventDefault()
            take(offer)
          }}
        >
          <b>{offer.label}</b>
          <span>{offer.hint}</span>
        </li>
      ))}
    </ul>
  )
}

function SearchIcon() {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <circle cx="7" cy="7" r="4.5" />
      <path d="m10.5 10.5 3 3" />
    </svg>
  )
}
