# Builds with BuildKit and with the legacy builder. Everything that ends in the image is independent of the
# time and place of the build: the same content gives the same layers.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS dependencies
COPY requirements.txt /tmp/requirements.txt
# Byte code is checked by nothing at run time (the root is read-only), so it need not carry a time.
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: --no-compile -r /tmp/requirements.txt \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/venv \
 && find /opt/venv -exec touch -h -d @0 {} +

FROM ${PYTHON_IMAGE} AS application
COPY app /srv/app
RUN python -m compileall -q --invalidation-mode unchecked-hash /srv/app \
 && chmod -R a=rX /srv/app \
 && find /srv/app -exec touch -h -d @0 {} +

FROM ${PYTHON_IMAGE}
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=application /srv /srv
WORKDIR /srv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0

# Last, so that a new version costs no layer before it. COMMIT_TIME, not the time of the build.
ARG VERSION=unknown
ARG GIT_COMMIT=unknown
ARG COMMIT_TIME=unknown
ENV VERSION=${VERSION} \
    GIT_COMMIT=${GIT_COMMIT} \
    COMMIT_TIME=${COMMIT_TIME}
LABEL org.opencontainers.image.title="visits" \
      org.opencontainers.image.description="A web API that counts visits" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${GIT_COMMIT}" \
      org.opencontainers.image.created="${COMMIT_TIME}"

USER 10001:10001
EXPOSE 8000 8001
ENTRYPOINT ["python", "-m", "app"]
