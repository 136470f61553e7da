FROM debian:bookworm-slim
RUN ["/bin/echo", "exec form"]
RUN ['not', 'json']
SHELL ["/bin/bash", "-ec"]
RUN set -o pipefail; echo a | tee /a
SHELL ["/bin/sh", "-c"]
ENTRYPOINT exec top -b
CMD []
