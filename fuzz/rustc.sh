#!/bin/sh
# The compiler, as RUSTC_WRAPPER: it counts the branches of this crate for libFuzzer, and builds all
# others as always. Its options are stable ones.
compiler=$1
shift
case " $* " in
*" --crate-name dollar_send "*) ;;
*) exec "$compiler" "$@" ;;
esac
exec "$compiler" "$@" -Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares \
  -Cllvm-args=-simplifycfg-branch-fold-threshold=0
