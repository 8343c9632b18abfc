(event, steps) => {
  this.greeting = `Hello ${steps.lookup.name}`
}
