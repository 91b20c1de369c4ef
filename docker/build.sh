#!/usr/bin/env bash
# Builds the image of `trommel`.
#
#   docker/build.sh             compiles a release binary and builds the image `trommel` around it
#   docker/build.sh --cluster   the same with the cluster engine, for scheduler, executors and jobs; and the image
#                               `trommel-s3`, the S3 server of docker/compose.yaml
#   docker/build.sh BINARY [S3] takes a binary that is there already, and one of the S3 server
#
#   IMAGE, S3_IMAGE   the names of the images. Default: trommel, trommel-s3.
#   SUITE             the Debian release below them: see base.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
s3=
case ${1:-} in
    "")
        cargo build --release
        binary=$target/release/trommel
        ;;
    --cluster)
        cargo build --release --features cluster --bin trommel --example s3
        binary=$target/release/trommel
        s3=$target/release/examples/s3
        ;;
    *)
        binary=$1
        s3=${2:-}
        ;;
esac

# NAME BINARY: puts it in the one place under target/ that .dockerignore lets through. The tables that give a panic
# its line numbers are most of a binary.
place() {
    install -D --mode=755 "$2" "target/docker/$1"
    if command -v strip >/dev/null; then
        strip --strip-debug "target/docker/$1"
    fi
}

base=$(docker/base.sh)
place trommel "$binary"
docker build --build-arg "BASE=$base" --tag "${IMAGE:-trommel}" --file docker/Dockerfile .
if [[ -n $s3 ]]; then
    place s3 "$s3"
    docker build --build-arg "BASE=$base" --tag "${S3_IMAGE:-trommel-s3}" --file docker/s3.Dockerfile .
fi
