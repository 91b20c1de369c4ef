# The S3 server of docker/compose.yaml, for trying things out. `docker/build.sh --cluster` builds it.
ARG BASE=trommel-base:bookworm
FROM ${BASE}

RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin s3 \
    && install --directory --owner=s3 --group=s3 /data

COPY target/docker/s3 /usr/local/bin/s3

USER s3
VOLUME /data
ENTRYPOINT ["s3"]
CMD ["0.0.0.0:9000", "/data"]
