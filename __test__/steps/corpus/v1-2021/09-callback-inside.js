return new Promise((resolve, reject) => {
  require('fs').stat('/', (error, stat) => {
    if (error) return reject(error)
    this.isDirectory = stat.isDirectory()
    resolve('done')
  })
})
