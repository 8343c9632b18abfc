async (event) => {
  await Promise.all(
    event.names.map(async (name, index) => {
      await new Promise((resolve) => setImmediate(resolve))
      this[name] = index
    }),
  )
}
