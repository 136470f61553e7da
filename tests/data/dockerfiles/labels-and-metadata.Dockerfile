FROM busybox:1.36
LABEL maintainer="team@example.org" \
      version="1.0" \
      description="This text \
spans lines"
LABEL multi.a=1 multi.b=2
EXPOSE 80 443/tcp 53/udp 9000-9002
VOLUME ["/data", "/cache"]
USER nobody:nogroup
HEALTHCHECK NONE
STOPSIGNAL 9
ONBUILD LABEL child=true
