FROM debian:bookworm-slim
RUN <<EOF
set -eu
apt-get update
apt-get install -y --no-install-recommends \
    procps \
    less
rm -rf /var/lib/apt/lists/*
EOF
COPY <<-"EOF" /etc/motd
	Welcome to $HOSTNAME.
	EOF
CMD ["/bin/bash"]
