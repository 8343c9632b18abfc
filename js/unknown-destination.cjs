// @ts-check
'use strict'

// `$send.slack` where there is no such destination: a function that throws, with a list of those there
// are, when it is called. Reading a name never throws, and `$send` looks like any object to what reads
// names of all objects.

/**
 * Names that others read of any object to learn what it is: promises, JSON and inspection; matchers,
 * spies and mocks of test runners (expect, Jest, Vitest, Sinon, Jasmine, Chai); checks for a node of a
 * document, an error, a function, a stream, a collection, an observable, a module.
 */
const READ_OF_ANY_OBJECT = new Set([
  ...['then', 'catch', 'finally', 'toJSON', 'toBSON', 'toObject', 'toArray', 'inspect', 'next'],
  ...['asymmetricMatch', 'sample', 'mock', 'calls', 'getMockName', 'and', 'isSpy', 'restore'],
  ...[
    'callCount',
    'displayName',
    'isSinonProxy',
    'showDiff',
    'actual',
    'expected',
    'operator',
    'diff',
  ],
  ...['nodeType', 'nodeName', 'tagName', 'hasAttribute', 'isEqualNode', 'ownerDocument', 'jquery'],
  ...[
    'window',
    'document',
    'name',
    'message',
    'stack',
    'cause',
    'errors',
    'code',
    'type',
    'props',
    'key',
  ],
  ...[
    'ref',
    'call',
    'apply',
    'bind',
    'prototype',
    'arguments',
    'caller',
    'callee',
    'length',
    'size',
  ],
  ...['splice', 'replace', 'equals', 'hashCode', 'href', 'buffer', 'pipe', 'getReader', 'on'],
  ...['addEventListener', 'subscribe', 'lift', 'default', 'valueOf', 'toString'],
])

/**
 * Whether a name may be meant as that of a destination.
 *
 * @param {string | symbol} name
 * @returns {name is string}
 */
function looksLikeDestination(name) {
  return (
    typeof name === 'string' && /^[a-z][a-z0-9_]*$/i.test(name) && !READ_OF_ANY_OBJECT.has(name)
  )
}

/**
 * Returns a prototype for `$send` objects that has a function for each name that looks like a
 * destination's, and is an ordinary object otherwise.
 *
 * @param {(name: string) => unknown} functionFor
 * @param {(name: string) => boolean} [isKnown] whether another name is that of a destination
 * @returns {object}
 */
function prototypeWith(functionFor, isKnown = () => false) {
  return new Proxy(
    {},
    {
      get(target, name, receiver) {
        const known = typeof name === 'string' && isKnown(name)
        if (!known && (name in target || !looksLikeDestination(name))) {
          return Reflect.get(target, name, receiver)
        }
        return functionFor(/** @type {string} */ (name))
      },
    },
  )
}

module.exports = { prototypeWith }
