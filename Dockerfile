# The command line in an image: docker build -t imagegate . && docker run --rm -v "$PWD:/work" imagegate --help
# Tags can be moved: pin the base by digest (name:tag@sha256:…) in what you publish.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
COPY requirements/cli.txt requirements/build.txt /source/requirements/
RUN python3.13 -m venv /opt/imagegate \
    && /opt/imagegate/bin/pip install --no-cache-dir --quiet --require-hashes -r /source/requirements/cli.txt \
    && python3.13 -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --quiet --require-hashes -r /source/requirements/build.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md /source/
COPY layers/core/imagegate /source/layers/core/imagegate
COPY cli/imagegate_cli /source/cli/imagegate_cli
RUN cd /source && /opt/build/bin/python -m hatchling build -t wheel -d /tmp/dist \
    && /opt/imagegate/bin/pip install --no-cache-dir --quiet --no-deps /tmp/dist/*.whl \
    && /opt/imagegate/bin/pip uninstall --quiet --yes pip

FROM ${BASE}
COPY --from=build /opt/imagegate /opt/imagegate
ENV PATH=/opt/imagegate/bin:$PATH
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["imagegate"]
