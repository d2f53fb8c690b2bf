# Builds with BuildKit and with the legacy builder. Everything that ends in the image is independent of the
# time and place of the build: the same content gives the same layers. A layer also holds the folders above what was
# copied, so each is copied as a whole tree onto /, with times and modes of its own for these folders, too. The time is
# 0 and not the commit's: a commit that touches the service alone leaves the layer with its packages as it was.
ARG PYTHON_IMAGE=python:3.13-slim
# sha256:… pins it; empty: what the tag names.
ARG PYTHON_DIGEST=
# yes: with what traces need (docs/traces.md). no, as 15 more packages are 10 MB and updates for whoever traces nothing,
# and redis-py loads a part of them at each start, wherever they are.
ARG TRACING=no

FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}} AS dependencies
ARG TRACING
COPY requirements.txt requirements-tracing.txt /tmp/
# Byte code is checked by nothing at run time (the root is read-only), so it need not carry a time.
RUN case $TRACING in \
      yes) cat /tmp/requirements.txt /tmp/requirements-tracing.txt ;; \
      no) cat /tmp/requirements.txt ;; \
      *) echo "TRACING is '$TRACING', allowed: yes or no" >&2; exit 1 ;; \
    esac > /tmp/packages.txt \
 && python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: --no-compile -r /tmp/packages.txt \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/venv \
 && install -d -m 755 /tree /tree/opt \
 && mv /opt/venv /tree/opt/venv \
 && find /tree -exec touch -h -d @0 {} +

FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}} AS application
RUN install -d -m 755 /tree /tree/srv
COPY app /tree/srv/app
# Compiled where it will run, so that a traceback names the file there.
RUN python -m compileall -q --invalidation-mode unchecked-hash -s /tree -p / /tree/srv/app \
 && chmod -R a=rX /tree/srv/app \
 && find /tree -exec touch -h -d @0 {} +

FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}}
COPY --from=dependencies /tree /
COPY --from=application /tree /
WORKDIR /srv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0

# Last, so that a new version costs no layer before it. COMMIT_TIME, not the time of the build.
ARG PYTHON_IMAGE
ARG PYTHON_DIGEST
ARG SOURCE=unknown
ARG VERSION=unknown
ARG GIT_COMMIT=unknown
ARG COMMIT_TIME=unknown
ENV VERSION=${VERSION} \
    GIT_COMMIT=${GIT_COMMIT} \
    COMMIT_TIME=${COMMIT_TIME}
LABEL org.opencontainers.image.title="visits" \
      org.opencontainers.image.description="A web API that counts visits" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      org.opencontainers.image.base.digest="${PYTHON_DIGEST:-unknown}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${GIT_COMMIT}" \
      org.opencontainers.image.created="${COMMIT_TIME}"

USER 10001:10001
EXPOSE 8000 8001
ENTRYPOINT ["python", "-m", "app"]
