#!/usr/bin/env bash
# Deduplicates a corpus of 420,000 documents (1.01 GB of text) as a whole process, and beside it other tools whose
# Python packages are there, one after the other. Prints for each: CPU seconds (all processes), seconds, peak RSS,
# documents kept, and of the pairs of a document and the edited copy of it that are at least 0.8 alike, the part
# of which one was dropped (recall), English and Chinese apart.
#
#     benches/dedup.sh [CORPUS] [WORK]
#
# CORPUS (default: target/bench/big1g) is made when it is not there, from the text under $TROMMEL_CORPUS (default:
# ../shared/corpus). $PEERS (default: ../shared/peers) holds the scripts run_daft_dedup.py, run_rensa_dedup.py and run_datatrove_dedup.py,
# each taking IN OUT. Needs GNU time, and Python with pyarrow.
set -euo pipefail
cd "$(dirname "$0")/.."

corpus=${1:-target/bench/big1g}
work=${2:-target/bench/work}
source_text=${TROMMEL_CORPUS:-../shared/corpus}
peers=${PEERS:-../shared/peers}
python=${PYTHON:-python3}
threads=${THREADS:-2}

if ! ls "$corpus"/*.parquet >/dev/null 2>&1; then
    mkdir --parents "$corpus"
    "$python" "$source_text/tools/make_big.py" --pool "$source_text/dev" --out "$corpus" --docs 420000
fi
mkdir --parents "$work"
cargo build --release

# NAME KEPT COMMAND...: runs the command, which leaves what it keeps in the folder KEPT.
measure() {
    local name=$1 kept=$2
    shift 2
    rm --recursive --force "$work/out"
    if ! /usr/bin/time --format "%U %S %e %M" --output "$work/time" "$@" >"$work/log" 2>&1; then
        echo "$name: failed, see $work/log"
        return
    fi
    "$python" - "$name" "$corpus" "$kept" "$work/time" <<'PYTHON'
import glob, sys
import pyarrow.parquet as pq

name, corpus, kept_folder, time_file = sys.argv[1:5]
user, system, wall, peak = map(float, open(time_file).read().split()[-4:])
kept = set()
for file in glob.glob(kept_folder + "/**/*.parquet", recursive=True):
    kept.update(pq.read_table(file, columns=["id"]).column("id").to_pylist())
pairs = {"en": [0, 0], "zh": [0, 0], "all": [0, 0]}
for file in glob.glob(corpus + "/*.parquet"):
    rows = pq.read_table(file, columns=["id", "dup_of", "jaccard", "lang"])
    for row in rows.to_pylist():
        if row["dup_of"] is None or row["jaccard"] is None or row["jaccard"] < 0.8:
            continue
        for group in (row["lang"], "all"):
            if group in pairs:
                pairs[group][0] += 1
                pairs[group][1] += not (row["id"] in kept and row["dup_of"] in kept)
recall = ", ".join(f"{group} {found / total:.4f}" for group, (total, found) in pairs.items() if total)
megabytes = peak / 1000
print(f"{name}: {user + system:.1f} CPU s, {wall:.1f} s, {megabytes:.0f} MB, kept {len(kept):,}, recall {recall}", flush=True)
PYTHON
}

has() { "$python" -c "import $1" 2>/dev/null; }

# Parquet writers of other tools compress at zstd level 1; ours takes level 3 unless it is told.
measure "trommel" "$work/out/kept" target/release/trommel dedup --threshold 0.8 --threads "$threads" "$corpus" "$work/out"
measure "trommel, zstd level 1" "$work/out/kept" target/release/trommel dedup --threshold 0.8 --threads "$threads" \
    --compression-level 1 "$corpus" "$work/out"
# Other tools write what they keep and nothing else.
measure "trommel, zstd level 1, rejects without text" "$work/out/kept" target/release/trommel dedup --threshold 0.8 \
    --threads "$threads" --compression-level 1 --rejects without-text "$corpus" "$work/out"
for peer in daft rensa datatrove; do
    if [ -e "$peers/run_${peer}_dedup.py" ] && has "$peer"; then
        THREADS=$threads measure "$peer" "$work/out" "$python" "$peers/run_${peer}_dedup.py" "$corpus" "$work/out"
    else
        echo "$peer: not run; its package or $peers/run_${peer}_dedup.py is not there"
    fi
done
