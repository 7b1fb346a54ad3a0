package demo

import (
	"os"
	"strings"
	"text/template"
)

// balancer is nginx before the nodes: any node serves any request, and who looks like
// the same program goes to the same node while that is there. A node that does not
// answer is left out for some seconds.
var balancer = template.Must(template.New("nginx.conf").Parse(`# The balancer of tacet demo --nodes. One process, so that nothing of it is left over.
daemon off;
master_process off;
pid {{.Dir}}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path {{.Dir}}/nginx-body;
  proxy_temp_path {{.Dir}}/nginx-proxy;
  fastcgi_temp_path {{.Dir}}/nginx-fastcgi;
  uwsgi_temp_path {{.Dir}}/nginx-uwsgi;
  scgi_temp_path {{.Dir}}/nginx-scgi;
  client_max_body_size 0;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream hub {
    hash $remote_addr$http_user_agent consistent;
{{range .Members}}    server {{.}} max_fails=1 fail_timeout=3s;
{{end}}  }
  server {
    listen {{.Front}};
    location / {
      proxy_pass http://hub;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_connect_timeout 2s;
      proxy_read_timeout 120s;
      proxy_next_upstream error timeout;
    }
  }
}
`))

func writeBalancer(file, dir, front string, members []member) error {
	var text strings.Builder
	web := make([]string, len(members))
	for i, m := range members {
		web[i] = m.http
	}
	if err := balancer.Execute(&text, struct {
		Dir, Front string
		Members    []string
	}{dir, front, web}); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text.String()), 0o600)
}
