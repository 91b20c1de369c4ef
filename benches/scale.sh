#!/usr/bin/env bash
# How the cost of deduplication grows with the corpus: whole processes, on corpora that `benches/scale.rs` makes.
#
#     benches/scale.sh [KIND:DOCUMENTS ...]
#
# Without arguments, sizes that take a few minutes. Every case is run RUNS times (default: 5), all of them one after
# the other and then again, so that what else the machine does falls on all alike; cases of more than a million
# documents are run once. Prints medians: CPU seconds (all threads), microseconds of CPU for each document, seconds, peak RSS,
# bytes spilled, documents for each second of CPU, and the CPU for each document relative to the first case of the
# kind, and relative to `unrelated` of as many documents.
#
# THREADS (default: 2), MEMORY (1GB) and TROMMEL, the program, can be set; WORK (default: target/bench/scale) is where
# corpora and outputs are. Corpora of up to a million documents stay there. Needs GNU time and Python.
set -euo pipefail
cd "$(dirname "$0")/.."

work=${WORK:-target/bench/scale}
threads=${THREADS:-2}
memory=${MEMORY:-1GB}
runs=${RUNS:-5}
many=1000000
if [ $# -eq 0 ]; then
    set -- web:100000 web:1000000 short:100000 short:1000000 unrelated:50000 unrelated:200000 \
        copies:50000 copies:200000 loose:50000 loose:200000 drift:50000 drift:200000
fi
mkdir --parents "$work"
if [ -z "${TROMMEL:-}" ]; then
    cargo build --release
    TROMMEL=target/release/trommel
fi

results=$work/results
: >"$results"
for round in $(seq "$runs"); do
    for case in "$@"; do
        kind=${case%:*} documents=${case#*:}
        if [ "$documents" -gt "$many" ] && [ "$round" -gt 1 ]; then
            continue
        fi
        corpus=$work/$kind-$documents
        if [ ! -e "$corpus" ]; then
            rm --recursive --force "$corpus.partial"
            cargo bench --quiet --bench scale -- "$kind" "$documents" "$corpus.partial"
            mv "$corpus.partial" "$corpus"
        fi
        rm --recursive --force "$work/out"
        /usr/bin/time --format "%U %S %e %M" --output "$work/time" "$TROMMEL" dedup --threshold 0.8 \
            --threads "$threads" --memory "$memory" "$corpus" "$work/out" >"$work/log" 2>&1
        echo "$kind $documents $(cat "$work/time") $(python3 -c '
import json, sys
report = json.load(open(sys.argv[1]))
print(report["rows_kept"], sum(exchange["spilled_bytes"] for exchange in report["exchanges"]))
' "$work/out/report.json")" | tee --append "$results" >&2
        rm --recursive --force "$work/out"
        if [ "$documents" -gt "$many" ]; then
            rm --recursive --force "$corpus"
        fi
    done
done

python3 - "$results" <<'PYTHON'
import statistics, sys

cases = {}
for line in open(sys.argv[1]):
    kind, documents, *numbers = line.split()
    user, system, wall, peak, kept, spilled = map(float, numbers)
    cases.setdefault((kind, int(documents)), []).append((user + system, wall, peak, kept, spilled))
median = {case: [statistics.median(column) for column in zip(*runs)] for case, runs in cases.items()}
first = {}
print("kind        documents       kept    CPU s  us/doc   wall s  RSS MB  spilled MB   docs/CPU s  to first  to unrelated")
for (kind, documents), (cpu, wall, peak, kept, spilled) in median.items():
    each = cpu / documents
    first.setdefault(kind, each)
    unrelated = median.get(("unrelated", documents))
    beside = f"{cpu / unrelated[0]:13.2f}" if unrelated else ""
    print(f"{kind:10}{documents:11,}{int(kept):11,}{cpu:9.1f}{each * 1e6:8.1f}{wall:9.1f}{peak / 1000:8.0f}"
          f"{spilled / 1e6:12,.0f}{documents / cpu:13,.0f}{each / first[kind]:10.2f}{beside}")
PYTHON
