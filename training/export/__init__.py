"""From trained networks to a sealed bundle: ONNX graphs, projections, golden cases."""
