# An image of an algorithm of your own, a package as `byoa init` makes it. Copy this file to the package as Dockerfile:
#
#   byoa build my-algorithm --context .
#
# Pin what you install: a file of `name==version --hash=...` lines, given to pip by --require-hashes -r, is best.

ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG PIP_NO_INDEX=""
ARG PIP_FIND_LINKS=""
COPY . /source
RUN --mount=type=bind,target=/context python3 -m venv /opt/byoa && /opt/byoa/bin/pip install --no-cache-dir /source

FROM ${BASE_IMAGE}
ARG ALGORITHM
COPY --from=build /opt/byoa /opt/byoa
RUN /opt/byoa/bin/byoa algorithms "${ALGORITHM}" >/dev/null
ENV ALGORITHM=${ALGORITHM} PATH=/opt/byoa/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 SERVER_HOST=0.0.0.0
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true org.opencontainers.image.title=${ALGORITHM}
EXPOSE 8080
ENTRYPOINT ["/usr/bin/env"]
CMD ["serve"]
