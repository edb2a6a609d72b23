"""FuxiCTR's DeepFM, put together from its own layers as its model zoo does (T4's peer)."""

import torch


def make(cardinalities, embedding_dim, hidden_units, folder):
    """Return (model, function of (x, y) that makes its batch)."""
    from fuxictr.features import FeatureMap
    from fuxictr.pytorch.layers import FactorizationMachine, FeatureEmbedding, MLP_Block
    from fuxictr.pytorch.models import BaseModel

    features = FeatureMap("bench", folder)
    for i, cardinality in enumerate(cardinalities):
        features.features[f"f{i}"] = (
            {"source": "", "type": "numeric"}
            if cardinality == 1
            else {
                "source": "",
                "type": "categorical",
                "padding_idx": 0,
                "vocab_size": cardinality + 1,
            }
        )
    features.labels = ["label"]
    features.num_fields = features.get_num_fields()
    features.set_column_index()

    class DeepFM(BaseModel):
        def __init__(self):
            super().__init__(
                features,
                model_id="DeepFM",
                gpu=-1,
                verbose=0,
                metrics=["AUC"],
                model_root=folder,
            )
            self.embedding_layer = FeatureEmbedding(features, embedding_dim)
            self.fm = FactorizationMachine(features)
            self.mlp = MLP_Block(
                input_dim=embedding_dim * features.num_fields,
                output_dim=1,
                hidden_units=list(hidden_units),
            )
            self.compile("adam", "binary_crossentropy", 1e-3)
            self.reset_parameters()
            self.model_to_device()

        def forward(self, inputs):
            x = self.get_inputs(inputs)
            vectors = self.embedding_layer(x)
            out = self.fm(x, vectors) + self.mlp(vectors.flatten(start_dim=1))
            return {"y_pred": self.output_activation(out)}

    def batch(x, y, offsets):
        columns = {}
        for i, cardinality in enumerate(cardinalities):
            if cardinality == 1:
                columns[f"f{i}"] = torch.from_numpy(x["feature_values"][:, i].copy())
            else:
                ids = x["feature_ids"][:, i].astype("int64") - offsets[i] + 1
                columns[f"f{i}"] = torch.from_numpy(ids)
        columns["label"] = torch.from_numpy(y[:, 0].copy())
        return columns

    model = DeepFM()
    model._max_gradient_norm = 10.0
    model.train()
    return model, batch
