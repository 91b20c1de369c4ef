#!/usr/bin/env bash
# Makes sure that the base image exists, and prints its name.
#
# It is a small Debian with the certificates that object stores over https are checked against. Where a
# registry can be reached, it is made from Debian's own slim image. Where none can, the same system is put
# together from Debian's packages (needs root) and imported. Running it again does nothing.
#
#   SUITE    the Debian release; its glibc must not be older than that of the machine that built the
#            binary. Default: bookworm.
#   MIRROR   where the packages come from. Default: http://deb.debian.org/debian.
set -euo pipefail

suite=${SUITE:-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
image=trommel-base:$suite

if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image"
    exit
fi

if timeout 120 docker pull --quiet "debian:$suite-slim" >/dev/null 2>&1; then
    docker build --tag "$image" - >&2 <<END
FROM debian:$suite-slim
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends ca-certificates \\
    && rm --recursive --force /var/lib/apt/lists/*
END
    echo "$image"
    exit
fi

echo "no registry can be reached: making $image from packages of $mirror" >&2
if ! command -v debootstrap >/dev/null; then
    { apt-get update && apt-get install --yes debootstrap; } >&2
fi
root=$(mktemp --directory)
trap 'rm --recursive --force --one-file-system "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >&2
# What the slim image leaves out as well: package caches and lists, manuals, translations.
rm --recursive --force "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/{doc,info,locale,man}/*
tar --create --directory "$root" --numeric-owner --one-file-system . | docker import --change 'CMD ["bash"]' - "$image" >&2
echo "$image"
