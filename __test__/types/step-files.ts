// Compiled, never run: how TypeScript users load step files.

import { type Engine, type LoadedStep, loadStep, runStep } from 'dollar-send'

function exactly<Expected>(_value: Expected): void {}

export async function stepFiles(engine: Engine): Promise<void> {
  const step = await loadStep('./old-step.js')
  exactly<LoadedStep>(step)
  exactly<'module' | 'expression' | 'body' | 'object'>(step.form)
  exactly<string[]>(step.warnings)
  await loadStep(new URL('file:///step.mjs'))
  await runStep(engine, step, { workflowId: 'p_types' })

  // @ts-expect-error a path is wanted
  await loadStep(7)
  // @ts-expect-error there is no such form
  if (step.form === 'text') return
}
