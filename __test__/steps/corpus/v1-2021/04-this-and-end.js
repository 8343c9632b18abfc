this.seen = (steps.dedupe || {}).seen || []
if (this.seen.includes(event.id)) $end(`seen ${event.id}`)
this.seen.push(event.id)
