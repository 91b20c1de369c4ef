#!/usr/bin/env bash
# Breaks the cluster of docker/compose.yaml while a run goes on, and checks that the run leaves the bytes of a run on
# one machine all the same.
#
#   docker/faults.sh CORPUS [TIMES] [FAULT...]
#
# CORPUS is a folder of shards, TIMES how often each fault comes, each time at another instant (default: 5). Faults:
#
#   executor-killed   docker kill; the container is begun again
#   executor-frozen   docker pause for a minute
#   executor-cut      an executor is off the network for 30 seconds, from the scheduler, the other one and the bucket
#   storage-restarted the S3 server ends and begins again
#   scheduler-killed  docker kill; the container is begun again
#
# The images are those of `docker/build.sh --cluster`. PIPELINE is a pipeline in the image (default: dedup.toml),
# SECONDS_OF_RUN how long a run without a fault takes, for the choice of the instants (default: measured), TASK_SIZE the
# size of its tasks (default: 16MB).
set -euo pipefail
cd "$(dirname "$0")/.."

corpus=$1
times=${2:-5}
shift $(($# < 2 ? $# : 2))
faults=("$@")
if [[ ${#faults[@]} -eq 0 ]]; then
    faults=(executor-killed executor-frozen executor-cut storage-restarted scheduler-killed)
fi
pipeline=${PIPELINE:-dedup.toml}
task_size=${TASK_SIZE:-16MB}
project=trommel-faults
export EXECUTOR_TIMEOUT=${EXECUTOR_TIMEOUT:-20}

if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
compose+=(--project-name "$project" --file docker/compose.yaml)

container() { "${compose[@]}" ps --all --quiet "$1" 2>/dev/null || "${compose[@]}" ps --quiet "$1"; }

finish() { "${compose[@]}" down --volumes --timeout 5 >/dev/null 2>&1 || true; }
trap finish EXIT
finish

"${compose[@]}" up --detach s3 scheduler executor-1 executor-2 >/dev/null 2>&1
s3=$(container s3)
docker exec "$s3" mkdir --parents /data/corpus/in
tar --create --directory "$corpus" . | docker exec --interactive "$s3" tar --extract --directory /data/corpus/in

# NAME ARGUMENTS...: a run in a container, with its output in the bucket.
run() {
    local output=$1
    shift
    "${compose[@]}" run --rm --no-deps -T job run "/trommel/pipelines/$pipeline" --input s3://corpus/in \
        --output "s3://corpus/$output" --task-size "$task_size" --work-dir /tmp --memory 512MB "$@" </dev/null
}

# The data files of a run, by their checksums.
sums() {
    docker exec "$s3" bash -c "cd /data/corpus/$1 && find kept rejected -type f | sort | xargs sha256sum"
}

on=(--on ballista://scheduler:50050)
run alone >/dev/null 2>&1
sums alone >"/tmp/$project.expected"
begin=$SECONDS
run together "${on[@]}" >/dev/null 2>&1
seconds=${SECONDS_OF_RUN:-$((SECONDS - begin))}
sums together | cmp - "/tmp/$project.expected"
echo "without a fault: $seconds s, the same bytes"

strike() {
    local victim network
    victim=$(container "executor-$((RANDOM % 2 + 1))")
    network=${project}_default
    case $1 in
        executor-killed)
            docker kill "$victim" >/dev/null
            sleep 1
            docker start "$victim" >/dev/null
            ;;
        executor-frozen)
            docker pause "$victim" >/dev/null
            sleep 60
            docker unpause "$victim" >/dev/null
            ;;
        executor-cut)
            docker network disconnect "$network" "$victim"
            sleep 30
            docker network connect "$network" "$victim"
            ;;
        storage-restarted)
            docker restart --time 1 "$(container s3)" >/dev/null
            ;;
        scheduler-killed)
            docker kill "$(container scheduler)" >/dev/null
            sleep 2
            docker start "$(container scheduler)" >/dev/null
            ;;
        *)
            echo "$1: no such fault" >&2
            exit 1
            ;;
    esac
}

failed=0
for fault in "${faults[@]}"; do
    for ((i = 1; i <= times; i++)); do
        output=$fault-$i
        # All over the run, each time in another part of it.
        at=$(((i - 1) * seconds * 1000 / times + RANDOM % (seconds * 1000 / times + 1)))
        begin=$SECONDS
        run "$output" "${on[@]}" >"/tmp/$project.log" 2>&1 &
        job=$!
        sleep "$((at / 1000)).$(printf %03d $((at % 1000)))"
        strike "$fault"
        code=0
        wait "$job" || code=$?
        how="ended with $code"
        again=0
        while [[ $code -ne 0 && $again -lt 3 ]]; do
            again=$((again + 1))
            message=$(grep --text ERROR "/tmp/$project.log" | tail --lines 1)
            code=0
            run "$output" "${on[@]}" >"/tmp/$project.log" 2>&1 || code=$?
            how="$how ($message), run again: $code"
        done
        if sums "$output" 2>/dev/null | cmp --silent - "/tmp/$project.expected"; then
            same="the same bytes"
        else
            same="OTHER BYTES"
            failed=1
        fi
        echo "$fault at $((at / 1000)) s: $how, $((SECONDS - begin)) s, $same"
    done
done
exit "$failed"
