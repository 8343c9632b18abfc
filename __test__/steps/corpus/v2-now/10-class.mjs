class Queue {
  #items = []
  static of(...items) {
    const queue = new Queue()
    queue.#items.push(...items)
    return queue
  }
  *[Symbol.iterator]() {
    yield* this.#items
  }
}

export default {
  async run({ $ }) {
    for (const item of Queue.of(1, 2)) $.send.emit({ item })
  },
}
