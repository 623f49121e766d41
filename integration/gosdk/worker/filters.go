package main

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The numbers of GetWorkItemsRequest.workItemFilters; in it of orchestrations and activities; in each of those of the name.
const (
	filtersField        protowire.Number = 11
	orchestrationsField protowire.Number = 1
	activitiesField     protowire.Number = 2
	nameField           protowire.Number = 1
)

// onlyWork asks for some work only, in the name of a worker whose SDK asks for all. Version 0.6.0 does not know the field for that,
// so it is written by its number, as protobuf keeps what it does not know. A kind without names gets no work.
func onlyWork(orchestrators, activities []string) grpc.StreamClientInterceptor {
	var filters []byte

	for field, names := range map[protowire.Number][]string{orchestrationsField: orchestrators, activitiesField: activities} {
		for _, name := range names {
			filters = appendBytes(filters, field, appendBytes(nil, nameField, []byte(name)))
		}
	}

	field := appendBytes(nil, filtersField, filters)

	return func(
		ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, options ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		stream, err := streamer(ctx, desc, conn, method, options...)

		if err == nil && strings.HasSuffix(method, "/GetWorkItems") {
			stream = filtered{stream, field}
		}

		return stream, err
	}
}

func appendBytes(to []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), content)
}

// filtered is a stream of work items whose request has one more field.
type filtered struct {
	grpc.ClientStream
	field []byte
}

func (s filtered) SendMsg(request any) error {
	message := proto.Clone(request.(proto.Message))
	message.ProtoReflect().SetUnknown(s.field)

	return s.ClientStream.SendMsg(message)
}
