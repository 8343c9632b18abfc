async (event, steps) => {
  this.name = event.body.name.toUpperCase()
  this.length = this.name.length
}
