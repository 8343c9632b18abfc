// The options of Engine.open(), for the runner and for the command `dollar-send`.

export default {
  // The journal and the log: completed runs survive a crash.
  dataDir: new URL('./.dollar-send', import.meta.url),
  // Private addresses are refused by default. For the trial, this machine is allowed.
  egress: { allow: ['127.0.0.0/8'] },
  // The Inspector, on http://127.0.0.1:8787.
  server: { port: Number(process.env.INSPECTOR_PORT ?? 8787) },
}
