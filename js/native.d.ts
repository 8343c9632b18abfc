/* The addon, typed: what `native.cjs` finds in the file that Rust was compiled to. */

import type { DeliveryFilter, ExecutionFilter, TimeoutOptions } from '../index'

/** Parts of a call that its text cannot hold. */
export interface Extras {
  warnings: string[]
  bytes: Buffer | undefined
  contentType: string | undefined
  /** `true` if the bytes follow through `fill()`. */
  later: boolean
}

/**
 * The handle of an engine. Promises of objects and lists resolve to their JSON. Rust checks the
 * arguments that are `unknown` here.
 */
export interface NativeEngine {
  readonly _strict: boolean
  readonly _lateCallsThrow: boolean
  readonly _maxPayloadBytes: number
  readonly _attachmentFolder: string | null
  address(): { host: string; port: number; url: string } | null
  egressAddresses(): string[]
  stats(): string
  streamUrl(workflowId: string, options?: unknown): string
  deliveries(filter?: unknown): Promise<string>
  executions(filter?: unknown): Promise<string>
  replay(selection: unknown, dryRun: boolean, ticket: number, cancelled: boolean): Promise<string>
  _cancelReplay(ticket: number): void
  dismiss(selection: unknown): Promise<number>
  ready(options?: unknown): Promise<void>
  pause(target: unknown): Promise<string>
  resume(target: unknown): Promise<string>
  retryNow(filter: unknown): Promise<number>
  flush(options?: unknown): Promise<void>
  close(options?: unknown): Promise<object>
  _execution(
    object: object,
    workflowId: string,
    executionId?: string,
    attempt?: number,
    emitDepth?: number,
    trace?: string,
    trigger?: string,
  ): number
  _attach(wake: () => void): void
  _detach(): void
  _listen(topic: string, on: boolean): void
  _listenTo(number: number, emitterId?: string, eventName?: string, listenerId?: string): void
  _ignoreFrom(number: number): void
  _takeEvents(): string
  _takeCompletions(): number[]
  _throwRefusal(ticket: number): void
  _destination(name: string, options: string): number
  _answerJob(job: number, answer: string): void
  _attachDuckDb(): string | null
  _query(query: string): Promise<string>
}

/** The hold on the file of a warehouse. */
export interface WarehouseHold {
  readonly brand: unique symbol
}

/** The addon. */
export interface Addon {
  Engine: { open(options: string): Promise<NativeEngine> }
  _version?(): string
  _destinations(): string[]
  _isMainThread(): boolean | null
  _watchExit(isMainThread: boolean): boolean
  _flushAtExit(timeoutMs: number, isMainThread: boolean): number
  _readExecutions(directory: string, filter?: ExecutionFilter): Promise<string>
  _openAtExit(isMainThread: boolean): string[]
  _readLog(directory: string, key?: string, filter?: DeliveryFilter): Promise<string>
  _readSettled(directory: string, after?: string, filter?: DeliveryFilter): Promise<string>
  _migrate(options: string, isPlan: boolean): Promise<string>
  _migrated(): number[]
  _recorder(target: Float64Array): (text: string) => boolean
  _recordWith(step: number, kind: number, text: string, extras: Extras): number
  _logLate(step: number, kind: number, text: string): void
  _executionId(execution: number): string
  _step(execution: number, name: string): number
  _describeEnd(execution: number, message: string): void
  _describeError(execution: number, details: string): void
  _complete(execution: number, error: string | undefined, ticket: number): number | null
  _flush(execution: number, ticket: number): number | null
  _discard(execution: number): number
  _settled(execution: number, options?: TimeoutOptions): Promise<string>
  _fill(execution: number, index: number, bytes?: Buffer, reason?: string): void
  _holdWarehouse(file: string, readOnly: boolean): WarehouseHold
  _releaseWarehouse(hold: WarehouseHold): void
  _beginWarehouseProcess(hold: WarehouseHold, pid: number): void
  _endWarehouseProcess(hold: WarehouseHold, pid: number): void
}
