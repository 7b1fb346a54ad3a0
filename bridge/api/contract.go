package api

import (
	_ "embed"
	"net/http"

	"github.com/tacet-hub/tacet/broker/auth"
)

//go:embed openapi.yaml
var contract []byte

var contractRoutes = []route{
	{http.MethodGet, "/openapi.yaml", auth.Read, (*API).getContract},
}

func (a *API) getContract(*call) (answer, error) {
	return answer{status: http.StatusOK, raw: contract, kind: "application/yaml"}, nil
}
