FROM alpine:3.20 AS tools
ARG TERRAFORM_VERSION=1.9.5
ARG KUBECTL_VERSION=1.31.0
RUN apk add --no-cache curl unzip \
  && curl -sSLo /tmp/t.zip https://releases.example.org/terraform_${TERRAFORM_VERSION}.zip \
  && unzip /tmp/t.zip -d /usr/local/bin && rm /tmp/t.zip \
  && curl -sSLo /usr/local/bin/kubectl https://dl.example.org/v${KUBECTL_VERSION}/kubectl \
  && chmod +x /usr/local/bin/kubectl
FROM alpine:3.20
RUN apk add --no-cache bash git jq openssh-client python3
COPY --from=tools /usr/local/bin/ /usr/local/bin/
RUN adduser -D -u 1000 ci
USER ci
WORKDIR /home/ci
ENTRYPOINT ["/bin/bash", "-c"]
