// The line that says what the command waits for. Only a terminal gets it; a file or pipe stays clean.

const REDRAW_MS = 100

/**
 * Shows `Waiting for 2 of 3 deliveries  1.2 s` on a terminal until `stop()`.
 *
 * @param {{ isTTY?: boolean, write(text: string): unknown }} stream
 * @param {() => string} say what is being waited for, asked anew at every redraw
 * @returns {{ stop(): void }}
 */
export function showProgress(stream, say) {
  if (!stream.isTTY) return { stop() {} }
  const started = performance.now()
  const draw = () => {
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    stream.write(`\r\u001b[K${say()}  ${seconds} s`)
  }
  // Never the reason why the process goes on: whoever waits has a promise of its own.
  const timer = setInterval(draw, REDRAW_MS).unref()
  return {
    stop() {
      clearInterval(timer)
      stream.write('\r\u001b[K')
    },
  }
}
