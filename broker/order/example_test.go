package order_test

import (
	"fmt"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
)

func ExampleDecode() {
	_, err := order.Decode([]byte(`{"to":{"area":"north"},"message":"Boarding","volume":120,"repeat":0}`))
	fmt.Println(area.CodeOf(err))
	fmt.Println(err)
	// Output:
	// invalid
	// invalid: volume: 120 is not 0 to 100; repeat: 0 is not 1 to 10
}
