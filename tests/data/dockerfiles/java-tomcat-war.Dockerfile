FROM tomcat:10-jdk17
ARG WAR
ARG DB_PASSWORD=tomcat
ENV CATALINA_OPTS -Xmx512m
RUN rm -rf webapps/ROOT
COPY ${WAR:-target/app.war} webapps/ROOT.war
EXPOSE 8080 8443/Tcp
VOLUME /usr/local/tomcat/logs /usr/local/tomcat/temp
