this.attempted = true
await Promise.reject(new TypeError(`no ${steps.trigger.event.what}`))
