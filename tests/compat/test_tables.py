"""Tables keep their columns and index; what does not fit is said the way scikit-learn says it."""

import numpy as np
import pytest
import torch
from rule_tester import randomize, sample
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import sciexplain as sx
from sciexplain.compat import tables

NET = randomize(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)))
X = sample(5, 4)
COLUMNS = ["age", "dose", "weight", "pressure"]


class Fitted:
    """What skorch's nets show of themselves."""

    module = nn.Linear

    def __init__(self, module, classes=None, features=4):
        self.module_, self.n_features_in_ = module, features
        if classes is not None:
            self.classes_ = np.array(classes)

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return self.module_(torch.as_tensor(X)).argmax(1).numpy()


class Unfitted:
    module = nn.Linear

    def fit(self, X, y): ...


def expected(target, method="lrp", x=X, **options):
    return sx.explain(NET, x, target, method, **options).relevance.numpy()


@pytest.mark.parametrize("estimator", [NET, Fitted(NET)], ids=["module", "estimator"])
@pytest.mark.parametrize("target", [1, None, np.array([2, 0, 1, 1, 0]), [2, 0, 1, 1, 0]])
@pytest.mark.parametrize("method", ["lrp", "occlusion"])
def test_arrays(estimator, target, method):
    found = tables.explain(estimator, X.numpy(), target, method)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected(torch.tensor(target) if isinstance(target, list) else target, method))


def test_data_frames_keep_index_and_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X.numpy(), index=list("vwxyz"), columns=COLUMNS)
    found = tables.explain(NET, frame, 1, composite="epsilon_plus", batch_size=2)
    assert isinstance(found, pandas.DataFrame)
    assert list(found.index) == list(frame.index) and list(found.columns) == COLUMNS
    np.testing.assert_allclose(found.to_numpy(), expected(1, composite="epsilon_plus"))


def test_labels_are_those_of_the_estimator():
    estimator = Fitted(NET, ["cat", "dog", "ewe"])
    np.testing.assert_allclose(tables.explain(estimator, X.numpy(), "dog"), expected(1))
    labels = ["ewe", "cat", "dog", "dog", "cat"]
    np.testing.assert_allclose(tables.explain(estimator, X.numpy(), labels), expected(torch.tensor([2, 0, 1, 1, 0])))
    numbers = Fitted(NET, [10, 20, 30])
    np.testing.assert_allclose(tables.explain(numbers, X.numpy(), 30), expected(2))
    with pytest.raises(sx.TargetError, match=r"target .*cow.* is no class of the estimator; there are"):
        tables.explain(estimator, X.numpy(), "cow")


@pytest.mark.parametrize("frame", [False, True])
def test_a_pipeline_is_explained_from_its_last_step_on(frame):
    scaler = StandardScaler().fit(X.numpy())
    pipeline = make_pipeline(scaler, Fitted(NET))
    table = X.numpy()
    if frame:
        table = pytest.importorskip("pandas").DataFrame(table, columns=COLUMNS)
        scaler.fit(table)
    found = tables.explain(pipeline, table, 1)
    np.testing.assert_allclose(found, expected(1, x=torch.as_tensor(scaler.transform(table))))
    if frame:
        assert list(found.columns) == COLUMNS


def test_values_take_the_dtype_of_the_module():
    net = nn.Linear(4, 2)
    for table in (X.numpy(), X.float().numpy(), np.arange(20).reshape(5, 4), [[1, 2, 3, 4]]):
        found = tables.explain(net, table, 1)
        assert found.dtype == np.float32 and found.shape == np.shape(table)
    tokens = nn.Sequential(nn.Embedding(9, 3), nn.Flatten(), nn.Linear(12, 2)).eval()
    assert tables.explain(tokens, np.arange(8).reshape(2, 4), 1).shape == (2, 4)


def test_training_mode_is_left_as_it_is():
    net = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.9)).train()
    net[1].eval()
    tables.explain(net, X.numpy(), 1)
    assert [m.training for m in net.modules()] == [True, True, False]


ERRORS = {
    "one row": (NET, X[0].numpy(), {}, sx.InputError, r"\(rows, features\), got shape \(4,\)\. Reshape a single row"),
    "three dimensions": (NET, X[None].numpy(), {}, sx.InputError, r"got shape \(1, 5, 4\)\.$"),
    "NaN": (NET, [[1.0, 2.0, np.nan, 4.0]], {}, sx.InputError, "1 values .* the first in row 0, feature 2; impute"),
    "text": (NET, [["a", "b", "c", "d"]], {}, sx.InputError, "values that are no numbers; encode them first"),
    "features": (Fitted(NET), X[:, :3].numpy(), {}, sx.InputError, "X has 3 features, the estimator was fitted with 4"),
    "not fitted": (Unfitted(), X.numpy(), {}, sx.ModelError, "This Unfitted is not fitted yet: it has no module_"),
    "no net": (StandardScaler(), X.numpy(), {}, sx.ModelError, "estimator is StandardScaler; expected a torch module"),
    "option": (NET, X.numpy(), {"steps": 3}, sx.RuleError, "has no option steps"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    estimator, table, options, error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        tables.explain(estimator, table, **options)


def test_columns_in_another_order():
    pandas = pytest.importorskip("pandas")
    estimator = Fitted(NET)
    estimator.feature_names_in_ = np.array(COLUMNS)
    with pytest.raises(sx.InputError, match="the estimator was fitted with"):
        tables.explain(estimator, pandas.DataFrame(X.numpy(), columns=COLUMNS[::-1]), 1)
