// v1's scaffold: the whole file is one function.
async (event, steps) => {
  return { id: 7, url: event.url };
}
