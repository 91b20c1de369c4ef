#!/usr/bin/env bash
# Builds the image of `trommel`.
#
#   docker/build.sh             compiles a release binary and builds the image `trommel` around it
#   docker/build.sh BINARY      takes a binary that is there already
#
#   IMAGE    the name of the image. Default: trommel.
#   SUITE    the Debian release below it: see base.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $# -gt 0 ]]; then
    binary=$1
else
    cargo build --release
    binary=${CARGO_TARGET_DIR:-target}/release/trommel
fi
# The one place under target/ that .dockerignore lets through.
install -D --mode=755 "$binary" target/docker/trommel
base=$(docker/base.sh)
docker build --build-arg "BASE=$base" --tag "${IMAGE:-trommel}" --file docker/Dockerfile .
